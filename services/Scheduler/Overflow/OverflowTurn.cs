using Npgsql;
using RenderTrust.Postgres;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>
/// The turn to start agents: one replica has it at a time, by an advisory lock of one session. A killed replica's lock goes with its connection.
/// The session must be this one's own: a pooler in transaction mode would mix it with others.
/// </summary>
internal sealed partial class OverflowTurn(NpgsqlDataSource dataSource, ILogger<OverflowTurn> logger)
{
    private const string Turn = "overflow-agents";
    private NpgsqlConnection? held;

    /// <summary>Whoever works over it learns at once when the lock was lost with it.</summary>
    public NpgsqlConnection Connection => held ?? throw new InvalidOperationException("This replica has no turn to start overflow agents.");

    public async Task<bool> HasAsync(CancellationToken cancellationToken)
    {
        if (held is not null)
        {
            return true;
        }

        var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        if (await SessionLock.TryTakeAsync(connection, Turn, cancellationToken))
        {
            held = connection;
            return true;
        }

        await connection.DisposeAsync();
        return false;
    }

    /// <summary>Another replica may go on.</summary>
    public async Task EndAsync()
    {
        if (held is not { } connection)
        {
            return;
        }

        held = null;
        try
        {
            await SessionLock.GiveAsync(connection, Turn);
        }
        catch (Exception exception) when (exception is NpgsqlException or InvalidOperationException)
        {
            // It is closed, and has given its lock back with that.
            LogLost(logger, exception.Message);
        }
        finally
        {
            await connection.DisposeAsync();
        }
    }

    [LoggerMessage(LogLevel.Debug, "The turn to start overflow agents ended with its connection: {Cause}")]
    private static partial void LogLost(ILogger logger, string cause);
}
