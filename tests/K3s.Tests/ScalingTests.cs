using System.Reflection;
using Npgsql;
using RenderTrust.TestKit;

namespace RenderTrust.K3s.Tests;

/// <summary>The query by which KEDA scales the placer, on the scheduler's real tables.</summary>
public sealed class ScalingTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_scalers_role_can_count_what_waits_unexamined_and_read_nothing_else()
    {
        await using var admin = NpgsqlDataSource.Create(database.AdminConnectionString);
        await ExecuteAsync(
            admin,
            """
            DO $$ BEGIN CREATE ROLE rendertrust_keda LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
            GRANT USAGE ON SCHEMA scheduler TO rendertrust_keda;
            """);
        await database.MigrateAsync("scheduler", Assembly.Load("RenderTrust.Scheduler"));
        await ExecuteAsync(
            admin,
            """
            SET session_replication_role = replica;
            INSERT INTO scheduler.pending_units (job_id, unit_index, state, ready_at)
            SELECT gen_random_uuid(), 0, state, now() FROM unnest(ARRAY['new', 'new', 'claimed']) AS state;
            """);
        var trigger = Manifests.Of("base").Each<ScaledObject>().Single().Spec.Triggers.Single();

        await using var scaler = NpgsqlDataSource.Create($"{database.AdminConnectionString};Username=rendertrust_keda");
        await using var count = scaler.CreateCommand(trigger.Metadata["query"]);

        Assert.Equal(2L, await count.ExecuteScalarAsync(Token));
        await using var curious = scaler.CreateCommand("SELECT job_id FROM scheduler.pending_units");
        var refused = await Assert.ThrowsAsync<PostgresException>(() => curious.ExecuteScalarAsync(Token));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Token);
    }
}
