using System.Net;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Dashboard.Live;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>
/// Follows the log of all jobs, once per replica, and feeds the streams. The cursor is kept over failures, so an outage delays events and loses none.
/// </summary>
internal sealed partial class TailJobEventsLoop(AppInvoker apps, JobEventHub hub, LiveLog live, IOptions<A2AGatewayOptions> options, TimeProvider time, ILogger<TailJobEventsLoop> logger)
    : BackgroundService
{
    private static readonly TimeSpan AnswerMargin = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly TaskCompletionSource _hasCursor = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes once the tail stands somewhere: a log read after that and the events from then on leave no gap between them.</summary>
    public async Task WaitUntilFollowingAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _hasCursor.Task.WaitAsync(TimeSpan.FromSeconds(options.Value.TailFailureSeconds), time, cancellationToken);
        }
        catch (TimeoutException exception)
        {
            throw new AppUnavailableException("The scheduler's job log could not be followed yet.", exception);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var cursor = "";
        var pause = FirstPause;
        DateTimeOffset? failingSince = null;
        var hasLostPlace = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                // After a failure the first answer is wanted at once, news or not: it says that the log can be followed again.
                var page = await ReadAsync(cursor, failingSince is null ? options.Value.TailWaitSeconds : 0, stoppingToken);
                cursor = page.Cursor;
                _hasCursor.TrySetResult();
                if (hasLostPlace)
                {
                    hub.Resync();
                    live.Restart();
                    hasLostPlace = false;
                }

                if (failingSince is not null)
                {
                    LogRecovered(logger);
                }

                failingSince = null;
                pause = FirstPause;
                live.Append(page.Events);
                foreach (var jobEvent in page.Events)
                {
                    Failpoint.Hit("gateway.tail.beforeTell");
                    hub.Publish(jobEvent);
                }
            }
            catch (Exception exception) when (NeighbourFaults.IsOne(exception))
            {
                failingSince ??= Started(exception);
                if (exception is AppCallException { StatusCode: HttpStatusCode.BadRequest } && cursor.Length > 0)
                {
                    // A log restored from a backup does not know this place: begin at its end and let every stream read its task again.
                    (cursor, hasLostPlace) = ("", true);
                }

                if (time.GetUtcNow() - failingSince > TimeSpan.FromSeconds(options.Value.TailFailureSeconds))
                {
                    hub.Fail(exception);
                    live.Fail();
                }

                // Jitter, so that replicas do not all come back in the same instant.
                await Task.Delay(pause * (0.9 + (Random.Shared.NextDouble() * 0.2)), time, stoppingToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private Task<JobEventPage> ReadAsync(string cursor, int waitSeconds, CancellationToken cancellationToken)
    {
        var path = $"/internal/job-events?cursor={Uri.EscapeDataString(cursor)}&limit={options.Value.TailPageEvents}&waitSeconds={waitSeconds}";
        return apps.GetAsync<JobEventPage>(Apps.Scheduler, path, TimeSpan.FromSeconds(waitSeconds) + AnswerMargin, cancellationToken);
    }

    private DateTimeOffset Started(Exception exception)
    {
        LogFailed(logger, exception.Message);
        return time.GetUtcNow();
    }

    [LoggerMessage(LogLevel.Warning, "The job log cannot be followed: {Cause}")]
    private static partial void LogFailed(ILogger logger, string cause);

    [LoggerMessage(LogLevel.Information, "The job log is followed again")]
    private static partial void LogRecovered(ILogger logger);
}
