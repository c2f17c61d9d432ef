using Npgsql;
using RenderTrust.TestKit;

namespace RenderTrust.Postgres.Tests;

public sealed class MigrationTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly Migration First = new(1, "0001_first", "CREATE TABLE first (id int PRIMARY KEY)");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Migrations_are_applied_once_and_in_order()
    {
        var source = await FreshSchemaAsync("ordered");
        Migration[] both = [First, new(2, "0002_second", "ALTER TABLE first ADD COLUMN name text")];

        var first = await Migrations.ApplyAsync(source, "ordered", both, Cancellation);
        var again = await Migrations.ApplyAsync(source, "ordered", both, Cancellation);

        Assert.Equal(["0001_first", "0002_second"], first);
        Assert.Empty(again);
    }

    [Fact]
    public async Task A_role_that_only_owns_its_schema_can_migrate_it()
    {
        var source = database.DataSourceFor("telemetry");

        var applied = await Migrations.ApplyAsync(source, "telemetry", [First], Cancellation);

        Assert.Single(applied);
    }

    [Fact]
    public async Task A_changed_migration_is_refused_by_name()
    {
        var source = await FreshSchemaAsync("changed");
        await Migrations.ApplyAsync(source, "changed", [First], Cancellation);

        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(
            () => Migrations.ApplyAsync(source, "changed", [First with { Sql = "CREATE TABLE first (id bigint PRIMARY KEY)" }], Cancellation));

        Assert.Contains("0001_first", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("new migration", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failing_migration_leaves_nothing_of_itself_and_keeps_those_before()
    {
        var source = await FreshSchemaAsync("failing");
        Migration[] both = [First, new(2, "0002_broken", "CREATE TABLE second (id int); SELECT 1 / 0")];

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => Migrations.ApplyAsync(source, "failing", both, Cancellation));
        var mended = await Migrations.ApplyAsync(source, "failing", [First, new(2, "0002_broken", "CREATE TABLE second (id int)")], Cancellation);

        Assert.Contains("0002_broken", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["0002_broken"], mended);
    }

    [Fact]
    public async Task Runners_that_start_together_apply_each_migration_once()
    {
        var source = await FreshSchemaAsync("together");
        Migration[] all = [.. Enumerable.Range(1, 5).Select(number => new Migration(number, $"000{number}_step", $"CREATE TABLE step{number} (id int); SELECT pg_sleep(0.02)"))];

        var applied = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Migrations.ApplyAsync(source, "together", all, Cancellation))));

        Assert.Equal(["0001_step", "0002_step", "0003_step", "0004_step", "0005_step"], applied.SelectMany(names => names).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_lock_is_free_again_after_a_failure()
    {
        var source = await FreshSchemaAsync("freed");
        await Assert.ThrowsAsync<InvalidOperationException>(() => Migrations.ApplyAsync(source, "freed", [new(1, "0001_broken", "SELECT 1 / 0")], Cancellation));

        await using var other = database.Admin();
        await using var command = other.CreateCommand("SELECT pg_try_advisory_lock(hashtextextended('migrations:freed', 0))");

        Assert.Equal(true, await command.ExecuteScalarAsync(Cancellation));
    }

    private async Task<NpgsqlDataSource> FreshSchemaAsync(string schema)
    {
        var admin = database.Admin();
        await using var command = admin.CreateCommand($"CREATE SCHEMA {schema}");
        await command.ExecuteNonQueryAsync(Cancellation);
        return admin;
    }
}
