using System.Collections.Concurrent;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;

namespace RenderTrust.Sidecar.Actors;

internal readonly record struct ActorKey(string Type, string Id)
{
    /// <summary>The actor's path on its app.</summary>
    public string Path => $"/actors/{Uri.EscapeDataString(Type)}/{Uri.EscapeDataString(Id)}";

    public override string ToString() => $"{Type}/{Id}";
}

/// <param name="hold">Null where the actor's store knows no other hosts.</param>
internal sealed class ActorInstance(ActorKey key, HostedApp app, ActorTypeSettings settings, Hold? hold)
{
    private readonly Lock gate = new();
    private Task? retired;

    public ActorKey Key => key;
    public HostedApp App => app;
    public ActorTypeSettings Settings => settings;
    public Hold? Hold => hold;
    public TurnLock Lock { get; } = new(settings.ReentrancyEnabled, settings.ReentrancyDepthMax);
    public DateTimeOffset LastUsed { get; set; }

    /// <summary>An actor ends once, whoever asks for it first.</summary>
    public Task RetireAsync(Func<Task> end)
    {
        lock (gate)
        {
            return retired ??= end();
        }
    }
}

/// <summary>A turn that is being taken here, or the host that is to take it; disposing it ends it.</summary>
internal sealed class ActorTurn(Callee callee, ActorInstance? instance, string? reentrancyId, TimeProvider time) : IDisposable
{
    public Callee Callee => callee;

    public bool IsElsewhere => instance is null;

    /// <summary>Null where the type is not reentrant: then the header is neither made nor looked at.</summary>
    public string? ReentrancyId => reentrancyId;

    /// <summary>Grows with each change of the actor's owner. Null where there is only one host.</summary>
    public long? Token => instance?.Hold?.Token;

    public void Dispose()
    {
        if (instance is not null)
        {
            instance.LastUsed = time.GetUtcNow();
            instance.Lock.Exit();
        }
    }
}

/// <summary>Which app hosts which actor type, which actors are active, whose turn it is. Where several hosts share a database, an actor is active at one of them.</summary>
internal sealed partial class ActorRuntime(AppClient client, TimeProvider time, ILogger<ActorRuntime> logger) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, HostedApp> hosts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<ActorKey, ActorInstance> instances = new();
    private readonly ConcurrentDictionary<ActorInstance, bool> lingering = new();
    private readonly ConcurrentDictionary<string, Task> scans = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource stopping = new();

    /// <summary>Set once, before the first app registers.</summary>
    public Func<IReadOnlyList<HostedApp>> AllApps { get; set; } = () => [];

    /// <summary>Set once, before the first app registers.</summary>
    public HostDirectories Directories { get; set; } = HostDirectories.None;

    public event Action? HostsChanged;

    /// <summary>Actors that other hosts have from now on; what was kept for them in memory goes.</summary>
    public event Action<Func<ActorKey, bool>>? Left;

    public IReadOnlyList<(string AppId, string Type)> HostedTypes => [.. hosts.Select(entry => (entry.Value.Id, entry.Key))];

    public void Register(HostedApp app)
    {
        foreach (var (type, settings) in app.ActorConfiguration.Types)
        {
            if (!hosts.TryAdd(type, app) && hosts.TryGetValue(type, out var other) && other != app)
            {
                LogTypeTaken(logger, app.Id, type, other.Id);
                continue;
            }

            scans.GetOrAdd(type, _ => DeactivateIdleLoopAsync(type, settings, stopping.Token));
        }

        HostsChanged?.Invoke();
    }

    /// <summary>The app stops or has died: its actors are no longer active. A living app hears of each, after its running turn unless its type does not drain.</summary>
    public async Task UnregisterAsync(HostedApp app, bool isGone)
    {
        foreach (var (type, _) in hosts.Where(entry => entry.Value == app))
        {
            hosts.TryRemove(type, out _);
        }

        var ended = Task.WhenAll(instances.Values.Where(instance => instance.App == app).Select(instance => RetireAsync(instance, isGone)));
        HostsChanged?.Invoke();
        await ended;
    }

    /// <summary>The actors of these slots become active elsewhere. Their apps hear of it, each after its running turn unless its type does not drain.</summary>
    public async Task RetireAsync(HostDirectory directory, Func<string, short, bool> isLeft)
    {
        await Task.WhenAll(instances.Values
            .Where(instance => instance.Hold is { } hold && hold.Directory == directory && isLeft(hold.Type, hold.Slot))
            .Select(instance => RetireAsync(instance, isGone: false)));
        Left?.Invoke(key => hosts.TryGetValue(key.Type, out var app) && Directories.For(app) == directory && isLeft(key.Type, SlotRules.SlotOf(key.Id)));
    }

    /// <summary>Where a turn outlives its actor's deactivation here.</summary>
    public IReadOnlySet<short> BusySlots(string type)
    {
        foreach (var (instance, _) in lingering.Where(entry => !entry.Key.Lock.IsRunning))
        {
            lingering.TryRemove(instance, out _);
        }

        return lingering.Keys.Where(instance => instance.Key.Type == type).Select(instance => instance.Hold!.Slot).ToHashSet();
    }

    public HostedApp? HostOf(string type) => hosts.GetValueOrDefault(type);

    public ActorInstance? Active(ActorKey key) => instances.GetValueOrDefault(key);

    public IReadOnlyList<(string Type, int Count)> ActiveActors(HostedApp app) =>
        [.. app.ActorConfiguration.Types.Keys.Select(type => (type, instances.Keys.Count(key => key.Type == type)))];

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await Task.WhenAll(scans.Values);
        stopping.Dispose();
    }

    private async Task DeactivateIdleLoopAsync(string type, ActorTypeSettings settings, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await Task.Delay(settings.ScanInterval, time, cancellationToken);
                var now = time.GetUtcNow();
                foreach (var instance in instances.Values.Where(instance => instance.Key.Type == type && now - instance.LastUsed >= settings.IdleTimeout))
                {
                    // A turn under way is not idleness; the next scan looks again.
                    if (instance.Lock.TryEnter())
                    {
                        await instance.RetireAsync(() => EndAsync(instance));
                        instance.Lock.Exit();
                    }
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The host stops; apps are told by UnregisterAsync.
        }
    }

    private Task RetireAsync(ActorInstance instance, bool isGone) => instance.RetireAsync(async () =>
    {
        if (isGone)
        {
            Forget(instance);
            return;
        }

        var entered = instance.Settings.DrainRebalanced && await DrainAsync(instance);
        await EndAsync(instance);
        if (entered)
        {
            instance.Lock.Exit();
        }
        else if (instance.Hold is not null)
        {
            lingering[instance] = true;
        }
    });

    private async Task EndAsync(ActorInstance instance)
    {
        await DeactivateAsync(instance);
        Forget(instance);
    }

    /// <summary>Waits for the running turn and those before us. False when that takes longer than the type allows.</summary>
    private async Task<bool> DrainAsync(ActorInstance instance)
    {
        using var limit = new CancellationTokenSource(instance.Settings.DrainTimeout, time);
        try
        {
            return await instance.Lock.EnterAsync(null, limit.Token) == TurnOutcome.Entered;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            LogDrainTimedOut(logger, instance.Key, instance.Settings.DrainTimeout);
            return false;
        }
    }

    private async Task DeactivateAsync(ActorInstance instance)
    {
        using var request = client.NewRequest(instance.App, HttpMethod.Delete, instance.Key.Path);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10), time);
        try
        {
            using var response = await client.SendAsync(request, limit.Token);
            LogDeactivated(logger, instance.Key, (int)response.StatusCode);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            LogDeactivateFailed(logger, e, instance.Key);
        }
    }

    private void Forget(ActorInstance instance)
    {
        instances.TryRemove(new KeyValuePair<ActorKey, ActorInstance>(instance.Key, instance));
        instance.Lock.Close();
    }

    [LoggerMessage(LogLevel.Error, "App {AppId} registers actor type {Type}, which app {Other} already hosts; calls go to {Other}")]
    private static partial void LogTypeTaken(ILogger logger, string appId, string type, string other);

    [LoggerMessage(LogLevel.Debug, "Actor {Actor} was deactivated: the app answered {Status}")]
    private static partial void LogDeactivated(ILogger logger, ActorKey actor, int status);

    [LoggerMessage(LogLevel.Warning, "Actor {Actor}: the app could not be told of its deactivation")]
    private static partial void LogDeactivateFailed(ILogger logger, Exception exception, ActorKey actor);

    [LoggerMessage(LogLevel.Warning, "Actor {Actor}: its turn did not end within {Timeout}, it is deactivated all the same")]
    private static partial void LogDrainTimedOut(ILogger logger, ActorKey actor, TimeSpan timeout);
}
