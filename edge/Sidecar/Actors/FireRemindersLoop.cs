using System.Collections.Concurrent;
using System.Text.Json;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Actors;

/// <summary>Fires what is due in one reminder store, at least once each.</summary>
internal sealed partial class FireRemindersLoop : IAsyncDisposable
{
    private const int BatchSize = 50;
    private static readonly TimeSpan SleepMax = TimeSpan.FromSeconds(5);

    private readonly IReminderStore store;
    private readonly ActorRuntime actors;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stopping = new();
    private readonly SemaphoreSlim wake = new(0);
    private readonly ConcurrentDictionary<Guid, Task> firing = new();
    private readonly Task loop;

    public FireRemindersLoop(IReminderStore store, ActorRuntime actors, TimeProvider time, ILogger<FireRemindersLoop> logger)
    {
        this.store = store;
        this.actors = actors;
        this.time = time;
        this.logger = logger;
        actors.HostsChanged += Wake;
        loop = RunAsync(stopping.Token);
    }

    public IReminderStore Store => store;

    /// <summary>Something new may be due before the loop meant to look again.</summary>
    public void Wake()
    {
        if (!stopping.IsCancellationRequested)
        {
            wake.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        actors.HostsChanged -= Wake;
        await stopping.CancelAsync();
        await loop;
        await Task.WhenAll(firing.Values);
        stopping.Dispose();
        wake.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                var sleep = await FireDueAsync(cancellationToken);
                if (sleep > TimeSpan.Zero)
                {
                    await wake.WaitAsync(sleep, cancellationToken);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogLoopFailed(logger, e);
                await WaitAsync(SleepMax, cancellationToken);
            }
        }
    }

    private async Task<TimeSpan> FireDueAsync(CancellationToken cancellationToken)
    {
        var hosted = actors.HostedTypes;
        if (hosted.Count == 0)
        {
            return SleepMax;
        }

        var due = await store.TakeDueAsync(hosted, time.GetUtcNow(), BatchSize, cancellationToken);
        foreach (var reminder in due)
        {
            // One that still fires from last time is past its lease; firing it twice at once would help nobody.
            if (!firing.ContainsKey(reminder.Version))
            {
                firing[reminder.Version] = FireAsync(reminder, cancellationToken);
            }
        }

        if (due.Count > 0)
        {
            return TimeSpan.Zero;
        }

        var wait = await store.NextDueAsync(hosted, cancellationToken) - time.GetUtcNow() ?? SleepMax;
        return wait < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : wait > SleepMax ? SleepMax : wait;
    }

    private async Task FireAsync(Reminder reminder, CancellationToken cancellationToken)
    {
        // Let the loop go on: waiting for an actor's turn can take as long as the turn before it.
        await Task.Yield();
        var callback = reminder.Callback;
        try
        {
            if (reminder.ExpiresAt <= reminder.NextAt)
            {
                await store.FinishAsync(reminder, null, null, 0, cancellationToken);
                return;
            }

            var cancelled = await actors.CallBackAsync(callback.Actor, $"/method/remind/{Uri.EscapeDataString(callback.Name)}", Body(callback), cancellationToken);
            var left = reminder.RepeatsLeft - 1;
            var next = cancelled ? null : ActorSchedule.Next(reminder.NextAt, reminder.Period, left, reminder.ExpiresAt, time.GetUtcNow());

            // Not the loop's token: what has fired must not fire again only because we stop.
            await store.FinishAsync(reminder, next, left, 0, CancellationToken.None);
            Wake();
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Its lease runs out, and the next host fires it.
        }
        catch (Exception e) when (e is HttpRequestException or IOException or DaprError)
        {
            await RetryAsync(reminder, e.Message);
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            LogLoopFailed(logger, e);
        }
        finally
        {
            firing.TryRemove(reminder.Version, out _);
        }
    }

    private async Task RetryAsync(Reminder reminder, string cause)
    {
        var now = time.GetUtcNow();
        LogFailed(logger, reminder.Callback.Actor, reminder.Callback.Name, reminder.Failures + 1, cause);
        try
        {
            var policy = reminder.Callback.OnFailure;
            if (policy.RetriesMax is not { } max || reminder.Failures < max)
            {
                await store.FinishAsync(reminder, now + policy.Interval, reminder.RepeatsLeft, reminder.Failures + 1, CancellationToken.None);
            }
            else
            {
                var left = reminder.RepeatsLeft - 1;
                await store.FinishAsync(reminder, ActorSchedule.Next(reminder.NextAt, reminder.Period, left, reminder.ExpiresAt, now), left, 0, CancellationToken.None);
            }

            Wake();
        }
        catch (Exception e) when (StateComponent.IsStoreFailure(e))
        {
            LogLoopFailed(logger, e);
        }
    }

    private async Task WaitAsync(TimeSpan delay, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(delay, time, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The loop's own condition ends it.
        }
    }

    private static byte[] Body(ActorCallback reminder)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("data");
            writer.WriteRawValue(reminder.Data ?? "null"u8.ToArray());
            // Empty, as daprd sends them since reminders live in its scheduler.
            writer.WriteString("dueTime", "");
            writer.WriteString("period", "");
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }

    [LoggerMessage(LogLevel.Warning, "Actor {Actor}, reminder {Reminder}: attempt {Attempt} failed ({Cause})")]
    private static partial void LogFailed(ILogger logger, ActorKey actor, string reminder, int attempt, string cause);

    [LoggerMessage(LogLevel.Warning, "Reminders could not be read or written, trying again")]
    private static partial void LogLoopFailed(ILogger logger, Exception exception);
}
