using System.Threading.Channels;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Timings;

/// <summary>Budget figures on their way to the table. Nobody waits for them: when the queue is full, the newest are dropped.</summary>
internal sealed partial class TimingLog(NpgsqlDataSource dataSource, BudgetHistograms histograms, TimeProvider time, ILogger<TimingLog> logger) : BackgroundService
{
    private const int QueueLength = 50_000;
    private const int MostPerWrite = 1000;
    private readonly Channel<Timing> queue = Channel.CreateBounded<Timing>(new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly SemaphoreSlim writing = new(1, 1);

    public void Add(TaskId taskId, string name, int unitIndex, double milliseconds) => Add(new Timing(taskId, name, milliseconds, unitIndex));

    public void Add(Timing timing)
    {
        var figure = timing with { Milliseconds = Math.Max(0, timing.Milliseconds) };
        histograms.Record(figure);
        queue.Writer.TryWrite(figure);
    }

    /// <summary>Writes what is queued; for a reader that wants the figures of a moment ago.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken);
        try
        {
            var taken = new List<Timing>();
            while (taken.Count < MostPerWrite && queue.Reader.TryRead(out var timing))
            {
                taken.Add(timing);
            }

            if (taken.Count > 0)
            {
                await using var command = dataSource.Command(
                    "INSERT INTO timings (task_id, name, milliseconds, at) SELECT *, $4::timestamptz FROM unnest($1::uuid[], $2::text[], $3::float8[])",
                    taken.Select(timing => timing.TaskId.Value).ToArray(), taken.Select(timing => timing.Name).ToArray(),
                    taken.Select(timing => timing.Milliseconds).ToArray(), time.GetUtcNow());
                await command.ExecuteNonQueryAsync(cancellationToken);
            }
        }
        finally
        {
            writing.Release();
        }
    }

    public override void Dispose()
    {
        writing.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await queue.Reader.WaitToReadAsync(stoppingToken))
            {
                // Gathers a moment's worth, off every request's path.
                await Task.Delay(TimeSpan.FromMilliseconds(200), time, stoppingToken);
                try
                {
                    await FlushAsync(stoppingToken);
                }
                catch (NpgsqlException exception)
                {
                    LogDropped(logger, exception);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    [LoggerMessage(LogLevel.Warning, "Timings could not be written and were dropped")]
    private static partial void LogDropped(ILogger logger, Exception exception);
}
