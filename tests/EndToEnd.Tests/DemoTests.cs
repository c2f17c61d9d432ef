using System.Text;
using System.Text.Json;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>The demo as its user starts it: one command that ends by itself.</summary>
public sealed class DemoTests
{
    [Fact]
    public async Task The_demo_proves_the_main_job_and_leaves_nothing_running()
    {
        var folder = Directory.CreateTempSubdirectory("e2e-demo-").FullName;
        try
        {
            var file = Path.Combine(folder, "demo.json");
            var run = await Programs.DotnetAsync(
                [Repository.Cli, "demo", "--json", file, "--frames", "2", "--out", folder],
                new Dictionary<string, string> { ["RENDERTRUST_ROOT"] = Repository.Root }, TimeSpan.FromMinutes(6), TestContext.Current.CancellationToken);
            Assert.True(run.ExitCode == 0, run.ToString());

            var result = JsonElement.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
            AssertFacts(result);
            AssertMoney(result);
            AssertTimes(result);
            Assert.Equal(["frame_0000.png", "frame_0001.png"], Directory.GetFiles(folder, "frame_*.png").Select(Path.GetFileName).Order(StringComparer.Ordinal));
            Assert.All(Directory.GetFiles(folder, "frame_*.png"), frame => Assert.Equal((640, 360), Png.SizeOf(frame)));
            Assert.True(Png.SizeOf(Path.Combine(folder, "contact-sheet.png")).Width > 640);
            Assert.Empty(Left());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_demo_whose_node_scheduler_and_services_are_killed_finishes_and_charges_once()
    {
        const int frames = 8;
        var folder = Directory.CreateTempSubdirectory("e2e-demo-").FullName;
        try
        {
            var file = Path.Combine(folder, "demo.json");
            var run = await Programs.DotnetAsync(
                [Repository.Cli, "demo", "--chaos", "--json", file, "--frames", $"{frames}", "--out", folder],
                new Dictionary<string, string> { ["RENDERTRUST_ROOT"] = Repository.Root }, TimeSpan.FromMinutes(15), TestContext.Current.CancellationToken);
            Assert.True(run.ExitCode == 0, run.ToString());

            var result = JsonElement.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
            Assert.True(result.GetProperty("ok").GetBoolean());
            Assert.Equal(3, result.GetProperty("kills").GetInt32());
            Assert.True(result.GetProperty("chargedOnce").GetBoolean());
            Assert.Equal(frames, result.GetProperty("units").GetInt32());
            Assert.Equal(frames, result.GetProperty("framesOpened").GetInt32());
            Assert.True(result.GetProperty("attempts").GetInt32() > frames, "A killed node's units need another attempt.");
            Assert.Equal(3, run.Output.Split("kill -9").Length - 1);
            AssertMoney(result);
            Assert.Empty(Left());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_demo_that_fails_says_where_why_and_what_to_do_and_leaves_nothing_running()
    {
        var folder = Directory.CreateTempSubdirectory("e2e-demo-").FullName;
        try
        {
            var (file, scene) = (Path.Combine(folder, "demo.json"), Path.Combine(folder, "broken.pov"));
            await File.WriteAllTextAsync(scene, "#version 3.7;\nsphere { <0, 0, 0> oops }\n", TestContext.Current.CancellationToken);
            var run = await Programs.DotnetAsync(
                [Repository.Cli, "demo", "--json", file, "--scene", scene, "--frames", "1", "--out", folder],
                new Dictionary<string, string> { ["RENDERTRUST_ROOT"] = Repository.Root }, TimeSpan.FromMinutes(6), TestContext.Current.CancellationToken);

            Assert.True(run.ExitCode == 1, run.ToString());
            var result = JsonElement.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
            Assert.False(result.GetProperty("ok").GetBoolean());
            Assert.Contains("4/6 Rendering", result.GetProperty("error").GetString(), StringComparison.Ordinal);
            Assert.Contains("module_failed", result.GetProperty("error").GetString(), StringComparison.Ordinal);
            Assert.Contains("log:", run.Output, StringComparison.Ordinal);
            Assert.Contains("what to do:", run.Output, StringComparison.Ordinal);
            Assert.Empty(Left());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void AssertFacts(JsonElement result)
    {
        Assert.True(result.GetProperty("ok").GetBoolean());
        Assert.StartsWith("povray@", result.GetProperty("module").GetString(), StringComparison.Ordinal);
        Assert.Equal("node-1", result.GetProperty("node").GetString());
        Assert.Contains(result.GetProperty("runner").GetString(), (string[])["docker", "bubblewrap", "process"]);
        Assert.Contains(result.GetProperty("sidecar").GetString(), (string[])["embedded", "daprd"]);
        Assert.False(result.TryGetProperty("kills", out _));
        Assert.Equal(2, result.GetProperty("units").GetInt32());
        Assert.Equal(2, result.GetProperty("frames").GetInt32());
        Assert.Equal(2, result.GetProperty("framesOpened").GetInt32());
        Assert.InRange(result.GetProperty("attempts").GetInt32(), 2, 4);
        Assert.True(result.GetProperty("hashesMatch").GetBoolean());
        Assert.Equal(0, result.GetProperty("plaintextHits").GetInt32());
        Assert.True(result.GetProperty("plaintextControlFound").GetBoolean());
    }

    private static void AssertMoney(JsonElement result)
    {
        long Of(string name) => result.GetProperty(name + "Microcredits").GetInt64();
        Assert.True(Of("charged") > 0);
        Assert.True(Of("nodeEarned") > 0);
        Assert.True(Of("developerEarned") > 0);
        Assert.True(Of("platformEarned") > 0);
        Assert.Equal(Of("held"), Of("charged") + Of("released"));
        Assert.Equal(Of("charged"), Of("nodeEarned") + Of("developerEarned") + Of("platformEarned"));
        Assert.Equal(0, Of("ledgerSum"));
    }

    private static void AssertTimes(JsonElement result)
    {
        double Of(string name) => result.GetProperty(name).GetDouble();
        Assert.All(["submitMs", "dispatchMs", "returnMs", "ledgerMs"], name => Assert.True(Of(name) >= 0, name));
        Assert.Equal(Of("submitMs") + Of("dispatchMs") + Of("returnMs") + Of("ledgerMs"), Of("controlPlaneMs"), 0.05);
        Assert.True(Of("totalSeconds") > 0);
    }

    /// <summary>Processes that name the demo's own folder.</summary>
    private static List<string> Left() =>
    [
        .. Directory.EnumerateDirectories("/proc").Where(folder => int.TryParse(Path.GetFileName(folder), out _)).Select(CommandOf)
            .Where(command => command.Contains($"{Path.GetFileName(Path.TrimEndingDirectorySeparator(Home()))}/demo", StringComparison.Ordinal)),
    ];

    private static string Home() => new FileInfo(Path.Combine(Repository.Root, ".rendertrust")).LinkTarget ?? throw new InvalidOperationException("The clone has no link to the demo's data.");

    private static string CommandOf(string process)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(process, "cmdline"))).Replace('\0', ' ');
        }
        catch (IOException)
        {
            // It has ended since it was listed.
            return "";
        }
    }
}
