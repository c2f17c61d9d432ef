using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Ledger.Loops;
using RenderTrust.Postgres;

namespace RenderTrust.Ledger.Posting;

/// <summary>Moves earnings from pending to spendable once the time to object has passed.</summary>
internal sealed partial class ReleaseEarningsLoop(
    NpgsqlDataSource database, Outbox outbox, IOptions<PostingOptions> options, TimeProvider time, ILogger<ReleaseEarningsLoop> logger)
    : LedgerLoop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromMilliseconds(options.Value.PollMilliseconds);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT release_earnings($1, $2)");
        command.Parameters.Add(new() { Value = Time.GetUtcNow() });
        command.Parameters.Add(new() { Value = options.Value.BatchSize });
        var released = (int)(await command.ExecuteScalarAsync(cancellationToken))!;
        if (released > 0)
        {
            Failpoint.Hit("ledger.release.afterCommit");
            outbox.Wake();
            LogReleased(logger, released);
        }

        return released == options.Value.BatchSize;
    }

    [LoggerMessage(LogLevel.Information, "Released the earnings of {Count} captures")]
    private static partial void LogReleased(ILogger logger, int count);
}
