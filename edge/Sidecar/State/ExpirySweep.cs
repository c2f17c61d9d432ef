using System.Data.Common;

namespace RenderTrust.Sidecar.State;

/// <summary>Gives back the room of expired rows from time to time. They are invisible to readers all the while.</summary>
internal sealed partial class ExpirySweep : IAsyncDisposable
{
    private readonly CancellationTokenSource stopping = new();
    private readonly Task loop;

    /// <param name="interval">Zero for never.</param>
    /// <param name="removeAsync">Removes what has expired and says how many rows that were.</param>
    public ExpirySweep(string table, TimeSpan interval, Func<CancellationToken, Task<int>> removeAsync, TimeProvider time, ILogger logger) =>
        loop = interval > TimeSpan.Zero ? RunAsync(table, interval, removeAsync, time, logger, stopping.Token) : Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await loop;
        stopping.Dispose();
    }

    private static async Task RunAsync(
        string table, TimeSpan interval, Func<CancellationToken, Task<int>> removeAsync, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(interval, time, cancellationToken);
                LogRemoved(logger, table, await removeAsync(cancellationToken));
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is DbException or TimeoutException or InvalidOperationException)
            {
                // The database may be restarting.
                LogFailed(logger, e, table);
            }
        }
    }

    [LoggerMessage(LogLevel.Debug, "State table {Table}: {Removed} expired rows were removed")]
    private static partial void LogRemoved(ILogger logger, string table, int removed);

    [LoggerMessage(LogLevel.Warning, "State table {Table}: expired rows could not be removed, the next round tries again")]
    private static partial void LogFailed(ILogger logger, Exception exception, string table);
}
