using System.Net.Http.Json;
using Npgsql;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Bench;

/// <summary>One small value out of the Postgres state store through a sidecar, 200 reads/s, against the same row read straight from Postgres.</summary>
internal static class StateGetBenchmark
{
    private const int ReadsPerSecond = 200;
    private const string Key = "bench";
    private static readonly TimeSpan Part = TimeSpan.FromSeconds(3);

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(PrivatePlatform platform, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{platform.Platform.Ports["gateway.http"]}/v1.0/state/state/") };
        http.DefaultRequestHeaders.Add("dapr-api-token", LocalSecrets.ReadOrMake(platform.Platform.Paths.Keys, "dapr-api-token"));
        using var saved = await http.PostAsJsonAsync("", new[] { new { key = Key, value = new { frame = 1, of = 240 } } }, cancellationToken);
        if (!saved.IsSuccessStatusCode)
        {
            throw new CliException($"The state store answered {(int)saved.StatusCode}: {await saved.Content.ReadAsStringAsync(cancellationToken)}");
        }

        await using var source = NpgsqlDataSource.Create(platform.Platform.Postgres.AdminOnDatabase);

        async Task ThroughSidecarAsync(CancellationToken token)
        {
            using var answer = await http.GetAsync(Key, token);
            if (!answer.IsSuccessStatusCode || (await answer.Content.ReadAsByteArrayAsync(token)).Length == 0)
            {
                throw new CliException($"The state store answered {(int)answer.StatusCode} where a value was saved.");
            }
        }

        async Task DirectAsync(CancellationToken token)
        {
            await using var command = source.CreateCommand("SELECT value FROM dapr.state WHERE key = $1");
            command.Parameters.Add(new() { Value = $"gateway||{Key}" });
            if (await command.ExecuteScalarAsync(token) is null)
            {
                throw new CliException("The value that was saved through the sidecar is not in the table.");
            }
        }

        Task<Latencies> MeasureAsync(Func<CancellationToken, Task> read) => Latencies.AtRateAsync(ReadsPerSecond, Part, read, cancellationToken);
        var (measured, peer) = await Latencies.InTurnAsync(() => MeasureAsync(ThroughSidecarAsync), () => MeasureAsync(DirectAsync));
        return
        [
            BenchFigure.Lower("stateGet", measured.P50, "ms p50", "the same row straight from Postgres, same run", peer.P50, target: null),
            BenchFigure.Lower("stateGet", measured.P99, "ms p99", "the same row straight from Postgres, same run", peer.P99, target: 2),
        ];
    }
}
