using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Ledger.Loops;

namespace RenderTrust.Ledger.Books;

/// <summary>Moves the sums of hot accounts forward, so that reading one adds up minutes of entries and not years.</summary>
internal sealed partial class RollUpBalancesLoop(NpgsqlDataSource database, IOptions<BooksOptions> options, TimeProvider time, ILogger<RollUpBalancesLoop> logger)
    : LedgerLoop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromSeconds(options.Value.RollUpSeconds);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT roll_up_balances()");
        var through = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
        LogRolledUp(logger, through);
        return false;
    }

    [LoggerMessage(LogLevel.Debug, "Rolled balances up through entry {EntryId}")]
    private static partial void LogRolledUp(ILogger logger, long entryId);
}
