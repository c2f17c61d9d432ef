using Npgsql;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Contracts;

namespace RenderTrust.Cli.Bench;

/// <summary>The ledger's hold, one after the other on one connection, against the least that a durable commit costs: one row into a table of its own.</summary>
internal static class HoldBenchmark
{
    private const int CallsInPart = 500;
    private const long AmountMicrocredits = 1000;

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(PrivatePlatform platform, CancellationToken cancellationToken)
    {
        TenantId tenant;
        using (var creator = await Profiles.OpenOrSignUpAsync(Path.Combine(platform.Platform.Paths.Profiles, "holder"), platform.Platform.GatewayUrl, "Holder", cancellationToken))
        {
            tenant = creator.Profile.Facts.TenantId;
            await creator.Credits.TopUpAsync(Guid.CreateVersion7(), 10 * CallsInPart * AmountMicrocredits, cancellationToken);
        }

        await using var peerSource = NpgsqlDataSource.Create(platform.Platform.Postgres.AdminOnDatabase);
        await using var peer = await peerSource.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(peer, "CREATE SCHEMA IF NOT EXISTS bench; CREATE TABLE IF NOT EXISTS bench.commits (id uuid PRIMARY KEY, at timestamptz NOT NULL)", cancellationToken);
        await using var insert = new NpgsqlCommand("INSERT INTO bench.commits (id, at) VALUES ($1, now())", peer) { Parameters = { new() { NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid } } };
        await insert.PrepareAsync(cancellationToken);

        await using var holdSource = NpgsqlDataSource.Create(platform.Platform.Postgres.ConnectionStringFor("scheduler"));
        await using var connection = await holdSource.OpenConnectionAsync(cancellationToken);
        await using var hold = new NpgsqlCommand($"SELECT outcome FROM ledger.place_hold_v1($1, $2, {AmountMicrocredits}, now() + interval '1 hour', $3)", connection)
        {
            Parameters = { new() { NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid }, new() { Value = tenant.Value }, new() { NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid } },
        };
        await hold.PrepareAsync(cancellationToken);

        async Task CommitAsync(CancellationToken token)
        {
            insert.Parameters[0].Value = Guid.CreateVersion7();
            await insert.ExecuteNonQueryAsync(token);
        }

        async Task HoldAsync(CancellationToken token)
        {
            hold.Parameters[0].Value = Guid.CreateVersion7();
            hold.Parameters[2].Value = Guid.CreateVersion7();
            var outcome = await hold.ExecuteScalarAsync(token) as string;
            if (outcome != "placed")
            {
                throw new CliException($"A hold on an account with enough credits was answered with '{outcome}'.");
            }
        }

        var (holds, commits) = await Latencies.InTurnAsync(
            () => Latencies.InARowAsync(CallsInPart, HoldAsync, cancellationToken), () => Latencies.InARowAsync(CallsInPart, CommitAsync, cancellationToken));
        return
        [
            BenchFigure.Lower("hold", holds.P50, "ms p50", "a bare durable insert, same run", commits.P50, target: null),
            BenchFigure.Lower("hold", holds.P99, "ms p99", "a bare durable insert, same run", commits.P99, target: 3),
        ];
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
