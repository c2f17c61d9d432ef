using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>Apps as processes. The app is a shell around Python's web server, or plain sleep: any command is an app.</summary>
public sealed class SupervisorTests : IAsyncDisposable
{
    private readonly SidecarRig rig = new();

    [Fact]
    public async Task An_app_gets_its_environment_its_log_and_a_place_in_the_status_file()
    {
        var app = rig.AddApp("shell", ["sh", "-c", "echo id=$APP_ID port=$APP_PORT http=$DAPR_HTTP_PORT grpc=$DAPR_GRPC_PORT token=$APP_API_TOKEN own=$OWN; exec sleep 1000"],
            "    env: {OWN: mine}\n", withPort: false);
        await rig.StartAsync();
        var log = Path.Combine(rig.Root, ".dapr", "logs", "shell.log");
        await Wait.UntilAsync("the app has written its log", () => File.ReadAllText(log).Contains("own=", StringComparison.Ordinal));
        JsonElement status = default;
        await Wait.UntilAsync("the status file says ready", async () =>
        {
            using var document = JsonDocument.Parse(await File.ReadAllTextAsync(rig.StatusFile));
            status = document.RootElement.Clone();
            return status.GetProperty("ready").GetBoolean();
        });

        Assert.Contains($"id=shell port= http={app.HttpPort} grpc={app.GrpcPort} token=token-of-the-apps own=mine", await File.ReadAllTextAsync(log, Token), StringComparison.Ordinal);
        var entry = status.GetProperty("apps")[0];
        Assert.Equal(("shell", "ready", log), (entry.GetProperty("id").GetString(), entry.GetProperty("health").GetString(), entry.GetProperty("log").GetString()));
        Assert.Equal("sleep", await CommandOfAsync(entry.GetProperty("pid").GetInt32()));
    }

    [Fact]
    public async Task An_app_that_is_killed_is_started_again()
    {
        rig.AddApp("shell", ["sleep", "1000"], withPort: false);
        await rig.StartAsync();
        var first = rig.Host!.Apps.Find("shell")!.State.ProcessId!.Value;
        using (var process = Process.GetProcessById(first))
        {
            process.Kill();
        }

        await Wait.UntilAsync("another process is ready", () => rig.Host.Apps.Find("shell")!.State is { Health: AppHealth.Ready, ProcessId: { } second } && second != first,
            () => rig.Host.Apps.Find("shell")!.State);
        Assert.Equal(1, rig.Host.Apps.Find("shell")!.State.Restarts);
    }

    [Fact]
    public async Task An_app_that_keeps_dying_is_told_in_the_status_and_backed_off_from()
    {
        rig.AddApp("bad", ["sh", "-c", "echo cannot; exit 7"], withPort: true);
        await rig.StartAsync(untilReady: false);
        await Wait.UntilAsync("it has been started three times", () => rig.Host!.Apps.Find("bad")!.State.Restarts >= 3);

        Assert.Contains("exited with code 7", rig.Host!.Apps.Find("bad")!.State.Message, StringComparison.Ordinal);
        Assert.Contains("cannot", await File.ReadAllTextAsync(rig.Host.Apps.Find("bad")!.LogPath, Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_during_a_restart_waits_for_the_app()
    {
        Assert.SkipWhen(!File.Exists("/usr/bin/python3"), "python3 is not installed (apt-get install python3)");
        var app = rig.AddApp("web", ["/usr/bin/python3", "-c",
            "import os,http.server as h;h.ThreadingHTTPServer((\"127.0.0.1\",int(os.environ[\"APP_PORT\"])),h.SimpleHTTPRequestHandler).serve_forever()"]);
        await File.WriteAllTextAsync(Path.Combine(rig.Root, "web", "hello.txt"), "hello", Token);
        await rig.StartAsync();
        using (var process = Process.GetProcessById(rig.Host!.Apps.Find("web")!.State.ProcessId!.Value))
        {
            process.Kill();
            await process.WaitForExitAsync(Token);
        }

        Assert.Equal("hello", await rig.Client.GetStringAsync($"{app.Http}/v1.0/invoke/web/method/hello.txt", Token));
    }

    [Fact]
    public async Task Stopping_asks_first_and_ends_what_the_app_has_started_too()
    {
        rig.AddApp("parent", ["sh", "-c", "trap 'echo asked; exit 0' TERM; sleep 1000 & echo $! > child.pid; wait"], withPort: false);
        await rig.StartAsync();
        var pidFile = Path.Combine(rig.Root, "parent", "child.pid");
        await Wait.UntilAsync("the app's own child runs", () => File.Exists(pidFile) && File.ReadAllText(pidFile).EndsWith('\n'));
        var child = int.Parse(await File.ReadAllTextAsync(pidFile, Token));
        var log = rig.Host!.Apps.Find("parent")!.LogPath;
        await rig.StopAsync();

        Assert.Contains("asked", await File.ReadAllTextAsync(log, Token), StringComparison.Ordinal);
        await Wait.UntilAsync("the child is gone", () => !IsRunning(child));
        using var status = JsonDocument.Parse(await File.ReadAllTextAsync(rig.StatusFile, Token));
        Assert.Equal("stopped", status.RootElement.GetProperty("apps")[0].GetProperty("health").GetString());
    }

    [Fact]
    public async Task Apps_die_with_a_host_that_is_killed()
    {
        Assert.SkipWhen(ProcessLauncher.Wrapper.Count == 0, "setpriv is not installed (apt-get install util-linux)");
        rig.AddApp("orphan", ["sleep", "1000"], withPort: false);
        rig.WriteRunFile();
        using var host = StartProgram();
        var pid = await PidFromStatusAsync("ready");
        host.Kill();
        await host.WaitForExitAsync(Token);

        await Wait.UntilAsync("the app is gone", () => !IsRunning(pid));
    }

    [Fact]
    public async Task A_terminated_program_stops_its_apps_and_ends_with_code_0()
    {
        rig.AddApp("app", ["sleep", "1000"], withPort: false);
        rig.WriteRunFile();
        using var host = StartProgram();
        var pid = await PidFromStatusAsync("ready");
        Signals.Send(host.Id, Signals.Terminate);
        await host.WaitForExitAsync(Token);

        Assert.Equal(0, host.ExitCode);
        Assert.False(IsRunning(pid));
    }

    [Fact]
    public async Task A_failing_health_check_shows_and_recovers()
    {
        var app = rig.AddApp("checked", extra: "    enableAppHealthCheck: true\n    appHealthProbeInterval: 1\n    appHealthThreshold: 1\n");
        var healthy = true;
        await using var web = await HostedTestApp.StartAsync(app.AppPort, w => w.MapGet("/healthz", () => healthy ? Microsoft.AspNetCore.Http.Results.Ok() : Microsoft.AspNetCore.Http.Results.StatusCode(503)));
        await rig.StartAsync();
        healthy = false;
        await Wait.UntilAsync("it shows", () => rig.Host!.Apps.Find("checked")!.State.Health == AppHealth.Unhealthy);
        healthy = true;
        await Wait.UntilAsync("it recovers", () => rig.Host!.Apps.Find("checked")!.State.Health == AppHealth.Ready);
    }

    [Fact]
    public async Task A_cron_binding_ticks_into_the_app()
    {
        rig.Component("every-second", "bindings.cron", metadata: $"{SidecarRig.Setting("schedule", "@every 1s")}, {SidecarRig.Setting("route", "/tick")}");
        var ticks = 0;
        var app = rig.AddApp("ticked");
        await using var web = await HostedTestApp.StartAsync(app.AppPort, w => w.MapPost("/tick", () => Interlocked.Increment(ref ticks)));
        await rig.StartAsync();

        await Wait.UntilAsync("it ticks twice", () => ticks >= 2);
    }

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private Process StartProgram() => Process.Start(new ProcessStartInfo("dotnet",
        [typeof(SidecarHost).Assembly.Location, "run", "-f", rig.RunFile, "--status-file", rig.StatusFile, "--log-level", "error"]))!;

    private async Task<int> PidFromStatusAsync(string health)
    {
        var pid = 0;
        await Wait.UntilAsync($"the app is {health}", async () =>
        {
            using var document = JsonDocument.Parse(await File.ReadAllTextAsync(rig.StatusFile));
            var app = document.RootElement.GetProperty("apps")[0];
            pid = app.GetProperty("pid").ValueKind == JsonValueKind.Number ? app.GetProperty("pid").GetInt32() : 0;
            return app.GetProperty("health").GetString() == health;
        });
        return pid;
    }

    private static async Task<string> CommandOfAsync(int pid) => (await File.ReadAllTextAsync($"/proc/{pid}/comm", Token)).Trim();

    private static bool IsRunning(int pid)
    {
        try
        {
            // A zombie that nobody has waited for has ended, too.
            return !File.ReadAllText($"/proc/{pid}/stat").Split(')')[^1].TrimStart().StartsWith('Z');
        }
        catch (IOException)
        {
            return false;
        }
    }
}
