using Npgsql;

namespace RenderTrust.Identity;

/// <summary>Forgets proofs, revocations, sign-ins, sessions and node tokens whose time is over; nothing depends on when it runs.</summary>
internal sealed partial class SweepExpiredLoop(NpgsqlDataSource database, TimeProvider time, ILogger<SweepExpiredLoop> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await SweepAsync(stoppingToken);
                await Task.Delay(Period * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The database is away: the rows wait as well as we do.
                LogFailed(logger, exception);
                await Task.Delay(TimeSpan.FromSeconds(30), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    internal async Task SweepAsync(CancellationToken cancellationToken)
    {
        // A used node token is kept: with it a node's repeated enrolment finds itself.
        await using var command = database.CreateCommand(
            """
            DELETE FROM used_proofs WHERE expires_at < @now;
            DELETE FROM revocations WHERE expires_at < @now;
            DELETE FROM sign_ins WHERE expires_at < @now - interval '10 minutes';
            DELETE FROM sessions s WHERE (s.expires_at < @now OR s.ended_at < @now - interval '1 day') AND NOT EXISTS (SELECT 1 FROM sign_ins i WHERE i.session_id = s.session_id);
            DELETE FROM node_tokens t WHERE t.expires_at < @now AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.token_hash = t.token_hash);
            """);
        command.Parameters.AddWithValue("now", time.GetUtcNow().UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "Sweeping expired rows failed; it is tried again")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
