using System.Collections.Concurrent;
using System.Text.Json;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Actors;

/// <summary>A timer or reminder as it was registered; the texts go back to the app unread.</summary>
internal sealed record ActorCallback(ActorKey Actor, string Name, string DueTime, string Period, string? Callback, byte[]? Data, string? Ttl)
{
    /// <summary>Reminders only: a timer's callback that fails is not repeated.</summary>
    public FailurePolicy OnFailure { get; init; } = FailurePolicy.Default;
}

/// <summary>Timers live in memory and die with the host or the app, as daprd's do. They outlive idle deactivation.</summary>
internal sealed partial class ActorTimers(ActorRuntime actors, TimeProvider time, ILogger<ActorTimers> logger) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(ActorKey, string), Running> timers = new();

    public void Register(ActorCallback timer, ActorSchedule schedule)
    {
        var running = new Running(new CancellationTokenSource());
        var key = (timer.Actor, timer.Name);
        timers.AddOrUpdate(key, running, (_, old) =>
        {
            old.Stopping.Cancel();
            return running;
        });
        running.Loop = RunAsync(timer, schedule, running);
    }

    public void Unregister(ActorKey actor, string name)
    {
        if (timers.TryRemove((actor, name), out var running))
        {
            running.Stopping.Cancel();
        }
    }

    /// <summary>Their app is gone or they are another host's, and their timers with them.</summary>
    public void UnregisterWhere(Func<ActorKey, bool> isGone)
    {
        foreach (var (actor, name) in timers.Keys.Where(key => isGone(key.Item1)).ToList())
        {
            Unregister(actor, name);
        }
    }

    public async ValueTask DisposeAsync()
    {
        var loops = timers.Values.Select(running => running.Loop).ToList();
        foreach (var (actor, name) in timers.Keys.ToList())
        {
            Unregister(actor, name);
        }

        await Task.WhenAll(loops);
    }

    private async Task RunAsync(ActorCallback timer, ActorSchedule schedule, Running running)
    {
        var cancellationToken = running.Stopping.Token;
        try
        {
            var repeats = schedule.Repeats;
            for (DateTimeOffset? next = schedule.FirstAt; next is { } at;)
            {
                if (at > time.GetUtcNow())
                {
                    await time.DelayUntilAsync(at, cancellationToken);
                }
                else
                {
                    await Task.Yield();
                }

                if (await FireAsync(timer, cancellationToken))
                {
                    return;
                }

                repeats--;
                next = ActorSchedule.Next(at, schedule.Period, repeats, schedule.ExpiresAt, time.GetUtcNow());
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Unregistered, replaced, or the host stops.
        }
        finally
        {
            timers.TryRemove(new KeyValuePair<(ActorKey, string), Running>((timer.Actor, timer.Name), running));
        }
    }

    private async Task<bool> FireAsync(ActorCallback timer, CancellationToken cancellationToken)
    {
        try
        {
            return await actors.CallBackAsync(timer.Actor, $"/method/timer/{Uri.EscapeDataString(timer.Name)}", Body(timer), cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or Api.DaprError)
        {
            // A failed callback does not end the timer: the next tick comes as planned.
            LogFailed(logger, timer.Actor, timer.Name, e.Message);
            return false;
        }
    }

    private static byte[] Body(ActorCallback timer)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("callback", timer.Callback);
            writer.WritePropertyName("data");
            writer.WriteRawValue(timer.Data ?? "null"u8.ToArray());
            writer.WriteString("dueTime", timer.DueTime);
            writer.WriteString("period", timer.Period);
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }

    [LoggerMessage(LogLevel.Warning, "Actor {Actor}, timer {Timer}: the callback failed ({Cause})")]
    private static partial void LogFailed(ILogger logger, ActorKey actor, string timer, string cause);

    private sealed record Running(CancellationTokenSource Stopping)
    {
        public Task Loop { get; set; } = Task.CompletedTask;
    }
}
