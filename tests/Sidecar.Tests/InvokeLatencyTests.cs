using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Tests;

/// <summary>Prints what a call costs through the sidecar as a process of its own; see it with --show-live-output on. Asserts nothing about time.</summary>
public sealed class InvokeLatencyTests(ITestOutputHelper output) : IAsyncDisposable
{
    private const int Calls = 2000;
    private readonly SidecarRig rig = new();

    [Fact]
    public async Task Thousands_of_calls_in_a_row_are_all_answered()
    {
        var caller = rig.AddApp("caller", withPort: false);
        var callee = rig.AddApp("callee");
        await using var app = await HostedTestApp.StartAsync(callee.AppPort, web => web.MapGet("/small", () => "{\"ok\":true}"));
        rig.WriteRunFile();
        using var host = Process.Start(new ProcessStartInfo("dotnet",
            [typeof(SidecarHost).Assembly.Location, "run", "-f", rig.RunFile, "--status-file", rig.StatusFile, "--log-level", "error"]))!;
        await Wait.UntilAsync("the sidecar is ready", async () =>
        {
            using var status = JsonDocument.Parse(await File.ReadAllTextAsync(rig.StatusFile));
            return status.RootElement.GetProperty("ready").GetBoolean();
        });
        var direct = $"http://127.0.0.1:{callee.AppPort}/small";
        var through = $"{caller.Http}/v1.0/invoke/callee/method/small";
        await MeasureAsync(direct);
        await MeasureAsync(through);
        for (var round = 0; round < 2; round++)
        {
            output.WriteLine($"direct  {Describe(await MeasureAsync(direct))}");
            output.WriteLine($"sidecar {Describe(await MeasureAsync(through))}");
        }

        Signals.Send(host.Id, Signals.Terminate);
        await host.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    private static string Describe(List<double> milliseconds) =>
        $"p50 {milliseconds[Calls / 2]:F3} ms, p99 {milliseconds[Calls * 99 / 100]:F3} ms, max {milliseconds[^1]:F3} ms over {Calls} calls in a row";

    private async Task<List<double>> MeasureAsync(string url)
    {
        var times = new List<double>(Calls);
        for (var i = 0; i < Calls; i++)
        {
            var start = Stopwatch.GetTimestamp();
            var answer = await rig.Client.GetByteArrayAsync(url, TestContext.Current.CancellationToken);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            Assert.Equal(11, answer.Length);
        }

        times.Sort();
        return times;
    }
}
