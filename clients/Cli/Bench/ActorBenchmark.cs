using System.Net.Http.Json;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Contracts;

namespace RenderTrust.Cli.Bench;

/// <summary>
/// Calls of nodes' actors from another app's sidecar, 200/s over 50 actors, each with the actor's own short transaction in Postgres, against what is published
/// for daprd 1.17, whose actor does nothing. The call closes a session that is out of date, which changes nothing.
/// </summary>
internal static class ActorBenchmark
{
    private const int CallsPerSecond = 200;
    private const int Actors = 50;
    private const string Peer = "daprd 1.17 as published, another machine";
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(12);

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(PrivatePlatform platform, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{platform.Platform.Ports["gateway.http"]}/v1.0/actors/NodeActor/") };
        http.DefaultRequestHeaders.Add("dapr-api-token", LocalSecrets.ReadOrMake(platform.Platform.Paths.Keys, "dapr-api-token"));
        var nodes = Enumerable.Range(0, Actors).Select(_ => NodeId.New()).ToArray();
        var calls = 0;

        async Task CallAsync(CancellationToken token)
        {
            var node = nodes[(int)((uint)Interlocked.Increment(ref calls) % Actors)];
            using var answer = await http.PutAsJsonAsync($"{node}/method/CloseSessionAsync", new CloseNodeSessionRequest(node, Epoch: 0), WireJson.Options, token);
            if (!answer.IsSuccessStatusCode || answer.Headers.Contains("X-DaprErrorResponseHeader"))
            {
                throw new CliException($"The actor of node {node} answered {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync(token)}");
            }
        }

        await Latencies.AtRateAsync(CallsPerSecond, WarmUp, CallAsync, cancellationToken);
        var measured = await Latencies.AtRateAsync(CallsPerSecond, Measured, CallAsync, cancellationToken);
        return
        [
            BenchFigure.Lower("actor", measured.P50, "ms p50", Peer, 2.3, target: null),
            BenchFigure.Lower("actor", measured.P99, "ms p99", Peer, 6.89, target: 6.9),
        ];
    }
}
