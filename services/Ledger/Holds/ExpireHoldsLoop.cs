using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Ledger.Loops;

namespace RenderTrust.Ledger.Holds;

/// <summary>Closes holds past their expiry. A running job extends its own, so that what expires here was left behind.</summary>
internal sealed partial class ExpireHoldsLoop(NpgsqlDataSource database, IOptions<HoldOptions> options, TimeProvider time, ILogger<ExpireHoldsLoop> logger)
    : LedgerLoop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromSeconds(options.Value.SweepSeconds);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT expire_holds($1, $2)");
        command.Parameters.Add(new() { Value = Time.GetUtcNow() });
        command.Parameters.Add(new() { Value = options.Value.SweepBatchSize });
        var closed = (int)(await command.ExecuteScalarAsync(cancellationToken))!;
        if (closed > 0)
        {
            Failpoint.Hit("ledger.expire.afterCommit");
            LogExpired(logger, closed);
        }

        return closed == options.Value.SweepBatchSize;
    }

    [LoggerMessage(LogLevel.Warning, "Closed {Count} holds that had expired: their jobs neither ended nor extended them")]
    private static partial void LogExpired(ILogger logger, int count);
}
