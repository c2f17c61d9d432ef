using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Bench;

/// <summary>A small GET from one service's sidecar to another service at 500 calls/s, against the same call made directly.</summary>
internal static class InvokeBenchmark
{
    private const int CallsPerSecond = 500;
    private static readonly TimeSpan Part = TimeSpan.FromSeconds(2);

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(PrivatePlatform platform, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Add("dapr-api-token", LocalSecrets.ReadOrMake(platform.Platform.Paths.Keys, "dapr-api-token"));
        var ports = platform.Platform.Ports;
        var direct = new Uri($"http://127.0.0.1:{ports["catalog.app"]}/healthz");
        var through = new Uri($"http://127.0.0.1:{ports["gateway.http"]}/v1.0/invoke/catalog/method/healthz");

        async Task AskAsync(Uri url, CancellationToken token)
        {
            using var answer = await http.GetAsync(url, token);
            if (!answer.IsSuccessStatusCode)
            {
                throw new CliException($"{url} answered {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync(token)}");
            }
        }

        Task<Latencies> MeasureAsync(Uri url) => Latencies.AtRateAsync(CallsPerSecond, Part, token => AskAsync(url, token), cancellationToken);
        var (measured, peer) = await Latencies.InTurnAsync(() => MeasureAsync(through), () => MeasureAsync(direct));
        return
        [
            BenchFigure.Lower("invoke", measured.P50, "ms p50", "the same call direct, same run", peer.P50, target: 1.6),
            BenchFigure.Lower("invoke", measured.P99, "ms p99", "the same call direct, same run", peer.P99, target: 3.9),
        ];
    }
}
