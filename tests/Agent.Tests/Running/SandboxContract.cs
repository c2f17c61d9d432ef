using RenderTrust.Agent.Images;
using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Tests.Running;

/// <summary>What the runners of real modules promise on top: isolation, seen from inside, and images by digest only.</summary>
public abstract class SandboxContract(TestModules modules) : UnitRunnerContract
{
    private protected TestModules Modules { get; } = modules;

    private protected override ModuleImage Image => Modules.Contract;

    [Fact]
    public async Task Seen_from_inside_there_is_no_network_no_privilege_and_nothing_to_write_to()
    {
        using var unit = MakeUnit("look");

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.True(result.Exit == UnitExit.Succeeded, result.Log.ToText());
        string[] interfaces = [.. File.ReadLines(Output("network.txt")).Skip(2).Select(line => line.Split(':')[0].Trim())];
        Assert.Equal(["lo"], interfaces);
        Assert.Empty(File.ReadAllText(Output("writable.txt")));
        var status = File.ReadLines(Output("status.txt")).Select(line => line.Split(":\t", 2)).Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert.Equal("2", status["Seccomp"]);
        Assert.Equal("1", status["NoNewPrivs"]);
        Assert.Equal("0000000000000000", status["CapEff"]);
        Assert.Equal("0000000000000000", status["CapPrm"]);
        Assert.DoesNotContain("0", status["Uid"].Split('\t'));
        Assert.True(File.ReadLines(Output("processes.txt")).Count() < 10, "it sees processes of the machine");

        string Output(string name) => Path.Combine(unit.Run.Output.Path, name);
    }

    [Fact]
    public async Task A_unit_cannot_start_more_processes_than_its_limit()
    {
        Assert.SkipUnless(Runner.Capabilities.LimitsEnforced, "limits are not enforced on this machine: " + Runner.Capabilities.Description);
        using var unit = MakeUnit("spawn", Limits with { MaxProcesses = 20, Wall = TimeSpan.FromSeconds(30) });

        var result = await Runner.RunAsync(unit.Run, Token);

        // dash gives up at the first fork that fails.
        Assert.Equal(UnitExit.ModuleFailed, result.Exit);
        Assert.False(File.Exists(Path.Combine(unit.Run.Output.Path, "spawned.txt")));
    }

    [Fact]
    public async Task Content_that_was_changed_after_publishing_is_refused()
    {
        // The same tampering for every runner: one byte of the layer in the registry's own store.
        var image = await Modules.PushVariantAsync("rendertrust/tampered-" + Node, $"#!/bin/sh\nexit 0 # {Node}\n", Token);
        var manifest = System.Text.Json.Nodes.JsonNode.Parse(await File.ReadAllBytesAsync(Modules.StoredBlob(image.Digest), Token))!;
        var layer = Modules.StoredBlob((string)manifest["layers"]![1]!["digest"]!);
        var bytes = await File.ReadAllBytesAsync(layer, Token);
        bytes[600] ^= 1;
        await File.WriteAllBytesAsync(layer, bytes, Token);
        using var unit = MakeUnit("succeed", image: image);

        var refused = await Assert.ThrowsAsync<UnitFailedException>(() => Runner.RunAsync(unit.Run, Token));

        Assert.Equal(FailureClass.DigestMismatch, refused.FailureClass);
    }

    [Fact]
    public async Task An_image_that_the_registry_does_not_have_is_named()
    {
        var absent = ModuleImage.Parse($"{Modules.RegistryAddress}/rendertrust/contract", "sha256:" + new string('a', 64));
        using var unit = MakeUnit("succeed", image: absent);

        var failed = await Assert.ThrowsAsync<UnitFailedException>(() => Runner.PrepareAsync(absent, Token));

        Assert.Contains("rendertrust/contract", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_earlier_life_left_running_is_removed()
    {
        Assert.SkipUnless(Runner.Capabilities.LimitsEnforced, "without control groups a sandbox dies with its agent and leaves no orphan");
        var progress = new RecordedProgress();
        using var unit = MakeUnit("hang", progress: progress);
        var abandoned = Runner.RunAsync(unit.Run, Token);
        await Wait.ForAsync(() => progress.Values.Count > 0, "the module's first progress line");

        await using var nextLife = await CreateRunnerAsync();
        var removed = await nextLife.RemoveOrphansAsync(Token);

        Assert.True(removed >= 1);
        try
        {
            Assert.NotEqual(UnitExit.Succeeded, (await abandoned).Exit);
        }
        catch (UnitFailedException)
        {
            // The docker runner notices that its container is gone.
        }

        Assert.Equal(0, await nextLife.RemoveOrphansAsync(Token));
    }

    [Fact]
    public async Task The_povray_module_renders_a_frame()
    {
        using var unit = MakeUnit("unused", image: Modules.Povray);
        await File.WriteAllTextAsync(Path.Combine(unit.Run.InputFolder, "data", "scene.pov"), """
            #version 3.7;
            global_settings { assumed_gamma 1 }
            camera { location <0, 1, -4> look_at 0 }
            light_source { <3, 5, -4> rgb 1 }
            sphere { <sin(clock), 0, 0>, 1 pigment { rgb <1, 0.2, 0.1> } }
            """, Token);
        await File.WriteAllTextAsync(unit.Run.UnitFile, """
            {"unitIndex": 7, "unitCount": 8, "maxSeconds": 30,
             "parameters": {"scene": "data/scene.pov", "widthPixels": 64, "heightPixels": 36, "quality": 9, "antialias": false},
             "unitParameters": {"frame": 7, "clock": 0.5}}
            """, Token);

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.True(result.Exit == UnitExit.Succeeded, result.Log.ToText());
        var frame = Assert.Single(Directory.GetFiles(unit.Run.Output.Path));
        Assert.Equal("frame_0007.png", Path.GetFileName(frame));
        Assert.Equal([0x89, 0x50, 0x4E, 0x47], (await File.ReadAllBytesAsync(frame, Token))[..4]);
    }

    [Theory]
    [InlineData("""{"scene": "../unit.json"}""", "below the mounted assets")]
    [InlineData("""{"scene": "data/absent.pov"}""", "not found")]
    [InlineData("""{"scene": "data/input.txt"}""", ".pov file")]
    [InlineData("""{"scene": "data/broken.pov", "widthPixels": "1; reboot"}""", "widthPixels")]
    [InlineData("""{"scene": "data/broken.pov", "widthPixels": 32, "heightPixels": 18}""", "did not render")]
    public async Task The_povray_module_names_what_is_wrong_with_its_input(string parameters, string expected)
    {
        using var unit = MakeUnit("unused", image: Modules.Povray);
        await File.WriteAllTextAsync(Path.Combine(unit.Run.InputFolder, "data", "broken.pov"), "sphere { ", Token);
        await File.WriteAllTextAsync(unit.Run.UnitFile, $$$"""{"unitIndex": 0, "unitCount": 1, "maxSeconds": 30, "parameters": {{{parameters}}}, "unitParameters": {}}""", Token);

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.Equal(UnitExit.ModuleFailed, result.Exit);
        Assert.Contains(expected, result.Log.ToText(), StringComparison.Ordinal);
    }

    private protected ImageStore Images() => new(Path.Combine(StateFolder, "images"), new ImageSources([], development: true), ImageStore.Client());
}
