using System.Data;
using Npgsql;

namespace RenderTrust.Postgres;

/// <summary>
/// An advisory lock of one session: what one replica at a time may do, without a transaction that is open as long. A killed process's lock goes with its
/// connection. The connection must not go through a pooler in transaction mode.
/// </summary>
public static class SessionLock
{
    /// <summary>Waits for the lock as long as another session has it.</summary>
    /// <param name="connection">The session.</param>
    /// <param name="name">Of the work; each schema has locks of its own.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task TakeAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken) =>
        await AskAsync(connection, "pg_advisory_lock", name, cancellationToken);

    /// <summary>False when another session has the lock.</summary>
    public static async Task<bool> TryTakeAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken) =>
        await AskAsync(connection, "pg_try_advisory_lock", name, cancellationToken) is true;

    /// <summary>Gives the lock back. Takes no token: a lock left on a pooled connection would keep every replica out.</summary>
    public static async Task GiveAsync(NpgsqlConnection connection, string name)
    {
        ArgumentNullException.ThrowIfNull(connection);

        // A broken connection has given its lock back by itself, and asking it would hide what broke it.
        if (connection.FullState.HasFlag(ConnectionState.Open) && !connection.FullState.HasFlag(ConnectionState.Broken))
        {
            await AskAsync(connection, "pg_advisory_unlock", name, CancellationToken.None);
        }
    }

    private static async Task<object?> AskAsync(NpgsqlConnection connection, string function, string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connection);
        try
        {
            // Without a limit in time: the turn of another replica takes as long as it takes.
            await using var command = new NpgsqlCommand($"SELECT {function}(hashtextextended($1 || ':' || current_schema(), 0))", connection)
            {
                CommandTimeout = 0,
                Parameters = { new NpgsqlParameter<string> { TypedValue = name } },
            };
            return await command.ExecuteScalarAsync(cancellationToken);
        }
        catch
        {
            // Who has the lock is not known now, and a connection in the pool would keep it until somebody uses it: this one is closed for good, its lock with it.
            NpgsqlConnection.ClearPool(connection);
            throw;
        }
    }
}
