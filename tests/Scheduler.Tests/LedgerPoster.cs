using Npgsql;

namespace RenderTrust.Scheduler.Tests;

/// <summary>The ledger's loop that puts charges into the books, without the rest of the ledger: its function, called now and then.</summary>
internal sealed class LedgerPoster : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly NpgsqlDataSource ledger;
    private readonly Task running;

    public LedgerPoster(string connectionString)
    {
        ledger = NpgsqlDataSource.Create(connectionString);
        running = RunAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ledger.DisposeAsync();
        stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            await using (var post = ledger.CreateCommand("SELECT post_captures(now(), 0, 100)"))
            {
                await post.ExecuteNonQueryAsync(stop.Token);
            }

            await Task.Delay(100, stop.Token);
        }
    }
}
