using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Ledger.Loops;
using RenderTrust.Postgres;

namespace RenderTrust.Ledger.Posting;

/// <summary>
/// Turns captures into transfers and entries, off the path of the result that made them. The capture id is the key of the effect:
/// a pass that died, or runs twice, posts nothing twice.
/// </summary>
internal sealed partial class PostCapturesLoop(
    NpgsqlDataSource database, Outbox outbox, IOptions<PostingOptions> options, TimeProvider time, ILogger<PostCapturesLoop> logger)
    : LedgerLoop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromMilliseconds(options.Value.PollMilliseconds);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT post_captures($1, $2, $3)");
        command.Parameters.Add(new() { Value = Time.GetUtcNow() });
        command.Parameters.Add(new() { Value = options.Value.AcceptSeconds });
        command.Parameters.Add(new() { Value = options.Value.BatchSize });
        var posted = (int)(await command.ExecuteScalarAsync(cancellationToken))!;
        if (posted > 0)
        {
            Failpoint.Hit("ledger.post.afterCommit");
            outbox.Wake();
            LogPosted(logger, posted);
        }

        return posted == options.Value.BatchSize;
    }

    [LoggerMessage(LogLevel.Information, "Posted {Count} captures")]
    private static partial void LogPosted(ILogger logger, int count);
}
