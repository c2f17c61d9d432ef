using System.Diagnostics.CodeAnalysis;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Ledger.Books;
using RenderTrust.TestKit;

namespace RenderTrust.Ledger.Tests;

public sealed record Capture(string Outcome, long Charge, long Node, long Developer, long Platform);

public sealed record Closing(string Outcome, long Held, long Captured, long Released);

/// <summary>A database with the ledger's schema. Holds and captures are called as the scheduler's role does, the rest as the ledger's own.</summary>
[SuppressMessage("Design", "CA1051", Justification = "Fixture.")]
public sealed class LedgerDatabase : TestDatabase
{
    public const long Rate = 100_000;
    public const long NodeRate = 40_000;

    public static readonly DateTimeOffset Far = new(2100, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public NpgsqlDataSource Ledger { get; private set; } = null!;

    public NpgsqlDataSource Scheduler { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await MigrateAsync("ledger", typeof(LedgerApp).Assembly);
        Ledger = DataSourceFor("ledger");
        Scheduler = DataSourceFor("scheduler");
    }

    /// <summary>A tenant with this many micro-credits.</summary>
    public async Task<Guid> TenantWithAsync(long amount)
    {
        var tenant = Guid.CreateVersion7();
        if (amount > 0)
        {
            Assert.Equal("created", await TopUpAsync(Guid.CreateVersion7(), tenant, amount));
        }

        return tenant;
    }

    public Task<string> TopUpAsync(Guid id, Guid tenant, long amount) => ScalarAsync<string>(Ledger, "SELECT top_up($1, $2, $3, now())", id, tenant, amount);

    public async Task<(string Outcome, long Available)> PlaceAsync(Guid hold, Guid tenant, long amount, Guid? job = null, DateTimeOffset? expires = null)
    {
        await using var command = Command(
            Scheduler, "SELECT outcome, available_microcredits FROM ledger.place_hold_v1($1, $2, $3, $4, $5)", hold, tenant, amount, expires ?? Far, job ?? hold);
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return (reader.GetString(0), reader.GetInt64(1));
    }

    public async Task<Capture> CaptureAsync(
        Guid hold, string id, int unit, long ms, long rate = Rate, long nodeRate = NodeRate, Guid? node = null, Guid? developer = null, string module = "povray@1.0.0", Guid? attempt = null)
    {
        await using var command = Command(
            Scheduler, "SELECT * FROM ledger.capture_unit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            hold, id, unit, attempt ?? Guid.Empty, ms, rate, nodeRate, node ?? Node, developer ?? Developer, module);
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return new Capture(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4));
    }

    public async Task<Closing> CloseAsync(Guid hold, string reason = "done")
    {
        await using var command = Command(Scheduler, "SELECT * FROM ledger.close_hold_v1($1, $2)", hold, reason);
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return new Closing(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }

    public Task<string> ExtendAsync(Guid hold, DateTimeOffset expires) => ScalarAsync<string>(Scheduler, "SELECT ledger.extend_hold_v1($1, $2)", hold, expires);

    public Task<int> ExpireAsync(DateTimeOffset now) => ScalarAsync<int>(Ledger, "SELECT expire_holds($1, 1000)", now);

    public async Task<int> PostAllAsync(int acceptSeconds = 0, int batch = 100)
    {
        for (var total = 0; ;)
        {
            var posted = await ScalarAsync<int>(Ledger, "SELECT post_captures(now(), $1, $2)", acceptSeconds, batch);
            total += posted;
            if (posted == 0)
            {
                return total;
            }
        }
    }

    public async Task<int> ReleaseAllAsync(DateTimeOffset? now = null)
    {
        for (var total = 0; ;)
        {
            var released = await ScalarAsync<int>(Ledger, "SELECT release_earnings($1, 100)", now ?? Far);
            total += released;
            if (released == 0)
            {
                return total;
            }
        }
    }

    /// <summary>After backends were killed: one that died while its connection was idle would fail whoever takes it next.</summary>
    public void ForgetConnections()
    {
        Ledger.Clear();
        Scheduler.Clear();
    }

    public Guid Node { get; } = Guid.CreateVersion7();

    public Guid Developer { get; } = Guid.CreateVersion7();

    public Task<long> BalanceAsync(string account) =>
        ScalarAsync<long>(Ledger, "SELECT coalesce((SELECT posted_balance FROM balances WHERE account = $1), 0)::bigint", account);

    public Task<long> HeldAsync(Guid tenant) =>
        ScalarAsync<long>(Ledger, "SELECT coalesce((SELECT held FROM accounts WHERE account = 'creator:' || $1::uuid), 0)::bigint", tenant);

    public Task<BooksReport> BooksAsync() => ReadBooks.ReadAsync(Ledger, CancellationToken.None);

    public async Task AssertBooksBalanceAsync()
    {
        var books = await BooksAsync();
        Assert.True(books.Balanced, string.Join(", ", books.Findings.Where(f => f.Value != 0).Select(f => $"{f.Key} {f.Value}"))
            + " sums " + string.Join(", ", books.SumMicrocreditsByCurrency.Select(s => $"{s.Key} {s.Value}")));
    }

    public static NpgsqlCommand Command(NpgsqlDataSource source, string sql, params object[] values)
    {
        var command = source.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value is DateTimeOffset at ? at.ToUniversalTime() : value });
        }

        return command;
    }

    public static async Task<T> ScalarAsync<T>(NpgsqlDataSource source, string sql, params object[] values)
    {
        await using var command = Command(source, sql, values);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public static async Task ExecuteAsync(NpgsqlDataSource source, string sql, params object[] values)
    {
        await using var command = Command(source, sql, values);
        await command.ExecuteNonQueryAsync();
    }
}
