using System.Diagnostics;
using System.Text;
using System.Text.Json;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Hosts;

/// <summary>A sidecar host as a process of its own, one of several on a database. It can be killed, frozen and started again.</summary>
internal sealed class HostProcess(string name, TestDatabase database) : IAsyncDisposable
{
    /// <summary>How long anything may take to come back, on a machine that does other things as well.</summary>
    public static readonly TimeSpan BackLimit = TimeSpan.FromMinutes(3);

    private readonly StringBuilder output = new();
    private Process? process;

    public string Name => name;

    public SidecarRig Rig { get; } = new();

    public string? ApiToken { get; init; }

    public string Output
    {
        get
        {
            lock (output)
            {
                return output.ToString();
            }
        }
    }

    public async Task StartAsync()
    {
        Rig.Component("actors", "state.postgresql", "v2", string.Join(", ",
            SidecarRig.Setting("connectionString", PostgresStateTests.Libpq(database)), SidecarRig.Setting("actorStateStore", "true")));
        Rig.WriteRunFile();
        Launch();
        await ReadyAsync();
    }

    public void Launch()
    {
        File.Delete(Rig.StatusFile);
        var start = new ProcessStartInfo("dotnet", [typeof(SidecarHost).Assembly.Location, "run", "-f", Rig.RunFile, "--status-file", Rig.StatusFile, "--log-level", "info"])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        if (ApiToken is not null)
        {
            start.Environment["DAPR_API_TOKEN"] = ApiToken;
        }

        process = Process.Start(start)!;
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public Task ReadyAsync() => Wait.UntilAsync($"host {name} is ready", async () =>
    {
        Assert.False(process!.HasExited, $"Host {name} has ended:\n{Output}");
        using var status = JsonDocument.Parse(await File.ReadAllTextAsync(Rig.StatusFile));
        return status.RootElement.GetProperty("ready").GetBoolean();
    }, () => Output, BackLimit);

    /// <summary>SIGKILL: nothing is put in order.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync(CancellationToken.None);
        process.Dispose();
        process = null;
    }

    /// <summary>STOP freezes the process with its connections, CONT wakes it.</summary>
    public void Signal(string signal)
    {
        using var kill = Process.Start("kill", ["-s", signal, $"{process!.Id}"]);
        kill.WaitForExit();
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            await KillAsync();
        }

        await Rig.DisposeAsync();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (output)
        {
            output.AppendLine(line.Data);
        }
    }
}
