using System.Diagnostics;
using System.Net;
using RenderTrust.Gateway.Tests.Hosting;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>The gateway as the process that it is in production, so that it can die as one.</summary>
internal sealed class GatewayProcess : IDisposable
{
    private readonly ProcessStartInfo start;
    private Process? process;

    public GatewayProcess(TestDatabase database, FakeSidecar sidecar, string folder)
    {
        Url = new Uri($"http://127.0.0.1:{TestPorts.Free()}");
        start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "RenderTrust.Gateway.dll")])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["APP_PORT"] = $"{TestPorts.Free()}", ["APP_API_TOKEN"] = "app-token", ["DAPR_HTTP_PORT"] = $"{sidecar.Port}",
                ["ConnectionStrings__Postgres"] = database.ConnectionStringFor("gateway"),
                ["Gateway__PublicUrl"] = $"{Url}".TrimEnd('/'), ["Gateway__Blobs__Directory"] = Path.Combine(folder, "blobs"),
                ["Gateway__Hub__Port"] = $"{TestPorts.Free()}", ["Gateway__Hub__KeyDirectory"] = Path.Combine(folder, "keys"),
            },
        };
    }

    public Uri Url { get; }

    public async Task StartAsync()
    {
        process = Process.Start(start)!;
        var log = new System.Collections.Concurrent.ConcurrentQueue<string>();
        process.OutputDataReceived += (_, line) => log.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => log.Enqueue(line.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var http = new HttpClient { BaseAddress = Url };
        await Wait.ForAsync(
            async () =>
            {
                Assert.False(process.HasExited, $"The gateway ended by itself: {string.Join('\n', log)}");
                try
                {
                    return (await http.GetAsync("/healthz")).StatusCode == HttpStatusCode.OK;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            healthy => healthy);
    }

    /// <summary>kill -9: no handler runs, no buffer is flushed.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        process.Dispose();
        process = null;
    }

    public void Dispose()
    {
        process?.Kill();
        process?.Dispose();
    }
}
