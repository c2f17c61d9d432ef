using System.Text.Json;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>The command line as a person and a script use it.</summary>
public sealed class CommandLineTests(PlatformFixture platform) : IAsyncLifetime
{
    private string _profile = "";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await platform.StartAsync();
        _profile = Path.Combine(platform.NewFolder("cli"), "profile");
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_script_signs_up_pays_submits_watches_and_fetches_by_json()
    {
        var folder = platform.NewFolder("scene");
        var scene = Path.Combine(folder, "scene.pov");
        await File.WriteAllTextAsync(scene, Scenes.Ball, Token);

        var login = await JsonAsync("login", "--name", "Lina", "--json");
        Assert.Equal("Lina", login.GetProperty("displayName").GetString());
        Assert.Equal(platform.Gateway, new Uri(login.GetProperty("gateway").GetString()!));
        Assert.Equal(login.GetProperty("tenantId").GetString(), (await JsonAsync("login", "--json")).GetProperty("tenantId").GetString());

        Assert.Equal(0, (await JsonAsync("credits", "--json")).GetProperty("availableMicrocredits").GetInt64());
        Assert.Equal(10_000_000, (await JsonAsync("credits", "top-up", "10", "--json")).GetProperty("availableMicrocredits").GetInt64());

        // Other tests of the shared platform publish modules of their own.
        var module = Assert.Single((await JsonAsync("modules", "--json")).GetProperty("modules").EnumerateArray(), module => module.GetProperty("name").GetString() == "povray");
        Assert.Equal("cpu", module.GetProperty("runtime").GetProperty("deviceKind").GetString());

        var job = (await JsonAsync("submit", scene, "--frames", "2", "--width", "64", "--height", "36", "--max-unit-seconds", "60", "--json")).GetProperty("jobId").GetString()!;
        var watched = (await platform.CliAsync(_profile, "watch", job, "--json")).Succeeded().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("Completed", JsonElement.Parse(watched[^1]).GetProperty("state").GetString());

        var summary = await JsonAsync("jobs", job, "--json");
        Assert.Equal("completed", summary.GetProperty("status").GetString());
        Assert.Equal(2, summary.GetProperty("unitsCompleted").GetInt32());
        Assert.Equal(job, Assert.Single((await JsonAsync("jobs", "--json")).GetProperty("jobs").EnumerateArray()).GetProperty("jobId").GetString());

        var frames = Path.Combine(folder, "out");
        Assert.Equal(2, (await JsonAsync("fetch", job, "--out", frames, "--json")).GetArrayLength());
        Assert.Equal(["frame_0000.png", "frame_0001.png"], Directory.GetFiles(frames).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.All(Directory.GetFiles(frames), file => Assert.Equal((64, 36), Png.SizeOf(file)));

        var charged = summary.GetProperty("money").GetProperty("chargedMicrocredits").GetInt64();
        await Wait.ForAsync(
            async () => (await JsonAsync("credits", "entries", "--job", job, "--json")).GetProperty("entries").EnumerateArray().Where(entry => entry.GetProperty("account").GetString()!.StartsWith("creator:", StringComparison.Ordinal)).Sum(entry => entry.GetProperty("amountMicrocredits").GetInt64()),
            sum => sum == -charged,
            "the charge to stand in the creator's books");
        var balance = await JsonAsync("credits", "--json");
        Assert.Equal(10_000_000 - charged, balance.GetProperty("availableMicrocredits").GetInt64());
        Assert.Equal(0, balance.GetProperty("reservedMicrocredits").GetInt64());
    }

    [Fact]
    public async Task Keys_and_node_tokens_are_made_and_shown_once()
    {
        await JsonAsync("login", "--name", "Kira", "--json");

        var shown = await platform.CliAsync(_profile, "keys", "show", "--json");
        Assert.Equal(43, shown.Succeeded().Json.GetProperty("deviceKey").GetString()!.Length);
        Assert.DoesNotContain("PRIVATE", shown.Output, StringComparison.OrdinalIgnoreCase);
        var key = await JsonAsync("keys", "create", "my agent", "--scope", "jobs", "--json");
        Assert.StartsWith("rtk_", key.GetProperty("apiKey").GetString(), StringComparison.Ordinal);
        var list = await platform.CliAsync(_profile, "keys", "list", "--json");
        Assert.Contains(key.GetProperty("apiKeyId").GetString()!, list.Succeeded().Output, StringComparison.Ordinal);
        Assert.DoesNotContain(key.GetProperty("apiKey").GetString()!, list.Output, StringComparison.Ordinal);
        (await platform.CliAsync(_profile, "keys", "revoke", key.GetProperty("apiKeyId").GetString()!)).Succeeded();
        Assert.True((await JsonAsync("keys", "list", "--json")).GetProperty("apiKeys")[0].GetProperty("revoked").GetBoolean());

        Assert.Contains((await JsonAsync("keys", "recipients", "--json")).EnumerateArray(), recipient => recipient.GetProperty("name").GetString() == "node-1");
        Assert.NotEmpty((await JsonAsync("node", "token", "bench", "--json")).GetProperty("token").GetString()!);
    }

    [Fact]
    public async Task What_is_wrong_is_said_in_one_line_with_the_remedy()
    {
        await FailsAsync(2, "There is no profile", "rendertrust login")("credits");
        await JsonAsync("login", "--name", "Pia", "--json");
        var folder = platform.NewFolder("wrong");
        var module = Path.Combine(folder, "module.json");

        await FailsAsync(2, "There is no scene", ".pov")("submit", Path.Combine(folder, "missing.pov"));
        await FailsAsync(2, "is no job id", "rendertrust jobs")("watch", "seven");
        await FailsAsync(1, "There is no job")("jobs", Guid.CreateVersion7().ToString());
        await FailsAsync(2, "There is no file")("module", "publish", module);
        await File.WriteAllTextAsync(module, "{\"name\":\"mine\",", Token);
        await FailsAsync(2, "module.json")("module", "publish", module);

        var povray = (await JsonAsync("modules", "--json")).GetProperty("modules")[0];
        string Changed(string name, long rate) => JsonSerializer.Serialize(new
        {
            name, version = "1.0.0", title = "Mine", description = "Mine.", ratePerMinuteMicrocredits = rate, runtime = povray.GetProperty("runtime"),
        });
        await File.WriteAllTextAsync(module, Changed("too-cheap", 1), Token);
        await FailsAsync(1, "rate", "40000")("module", "publish", module);
        await File.WriteAllTextAsync(module, Changed("povray", 120_000), Token);
        await FailsAsync(1, "povray")("module", "publish", module);
        await File.WriteAllTextAsync(Path.Combine(folder, "scene.pov"), Scenes.Ball, Token);
        await FailsAsync(1, "micro-credits", "top up")("submit", Path.Combine(folder, "scene.pov"));
    }

    [Fact]
    public async Task Up_again_changes_nothing_and_a_taken_port_is_a_clear_error()
    {
        var before = (await platform.CliAsync(null, "status", "--json")).Succeeded().Output;
        await platform.UpAsync();
        Assert.Equal(before, (await platform.CliAsync(null, "status", "--json")).Succeeded().Output);

        // Another platform beside this one, told to take this one's port.
        var other = await Programs.RunAsync(
            "dotnet", [Repository.Cli, "up", "--detach", "--ports", "auto", "--port", $"gateway={platform.Gateway.Port}", "--nodes", "0"], Repository.Root,
            new Dictionary<string, string> { ["RENDERTRUST_ROOT"] = Repository.Root, ["RENDERTRUST_INSTANCE"] = "e2e-refused" }, TimeSpan.FromMinutes(2), Token);
        Assert.True(other.ExitCode != 0, other.ToString());
        Assert.Contains($"{platform.Gateway.Port}", other.Output + other.Error, StringComparison.Ordinal);
        Assert.Contains("--ports auto", other.Output + other.Error, StringComparison.Ordinal);
    }

    private async Task<JsonElement> JsonAsync(params string[] arguments) => (await platform.CliAsync(_profile, arguments)).Succeeded().Json;

    private Func<string[], Task> Failing(int exitCode, string[] says) => async arguments =>
    {
        var result = await platform.CliAsync(_profile, arguments);
        Assert.True(result.ExitCode == exitCode, result.ToString());
        // Lines are wrapped for the terminal, so words are looked for without their breaks.
        var text = string.Join(' ', (result.Output + result.Error).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.All(says, word => Assert.Contains(word, text, StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain("   at RenderTrust", result.Output + result.Error, StringComparison.Ordinal);
    };

    private ParamsTask FailsAsync(int exitCode, params string[] says)
    {
        var run = Failing(exitCode, says);
        return arguments => run(arguments);
    }

    private delegate Task ParamsTask(params string[] arguments);
}
