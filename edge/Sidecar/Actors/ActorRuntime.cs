using System.Collections.Concurrent;
using System.Globalization;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Actors;

internal readonly record struct ActorKey(string Type, string Id)
{
    /// <summary>The actor's path on its app.</summary>
    public string Path => $"/actors/{Uri.EscapeDataString(Type)}/{Uri.EscapeDataString(Id)}";

    public override string ToString() => $"{Type}/{Id}";
}

internal sealed class ActorInstance(ActorKey key, HostedApp app, ActorTypeSettings settings)
{
    public ActorKey Key => key;
    public HostedApp App => app;
    public ActorTypeSettings Settings => settings;
    public TurnLock Lock { get; } = new(settings.ReentrancyEnabled, settings.ReentrancyDepthMax);
    public DateTimeOffset LastUsed { get; set; }
}

/// <summary>A turn that is being taken; disposing it ends it.</summary>
internal sealed class ActorTurn(ActorInstance instance, string? reentrancyId, TimeProvider time) : IDisposable
{
    public ActorInstance Instance => instance;

    /// <summary>Null where the type is not reentrant: then the header is neither made nor looked at.</summary>
    public string? ReentrancyId => reentrancyId;

    public void Dispose()
    {
        instance.LastUsed = time.GetUtcNow();
        instance.Lock.Exit();
    }
}

/// <summary>Which app hosts which actor type, which actors are active, whose turn it is. Placement is simple: one host per type.</summary>
internal sealed partial class ActorRuntime(AppClient client, TimeProvider time, ILogger<ActorRuntime> logger) : IAsyncDisposable
{
    // daprd asks five times, a second apart, for an actor's host that is missing or moving.
    private static readonly TimeSpan HostWait = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HostPoll = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<string, HostedApp> hosts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<ActorKey, ActorInstance> instances = new();
    private readonly ConcurrentDictionary<string, Task> scans = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource stopping = new();

    /// <summary>Set once, before the first app registers.</summary>
    public Func<IReadOnlyList<HostedApp>> AllApps { get; set; } = () => [];

    public event Action? HostsChanged;

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

        HostsChanged?.Invoke();
        await Task.WhenAll(instances.Values.Where(instance => instance.App == app).Select(async instance =>
        {
            if (!isGone)
            {
                var entered = instance.Settings.DrainRebalanced && await DrainAsync(instance);
                await DeactivateAsync(instance);
                if (entered)
                {
                    instance.Lock.Exit();
                }
            }

            Forget(instance);
        }));
    }

    public HostedApp? HostOf(string type) => hosts.GetValueOrDefault(type);

    public bool IsActive(ActorKey key) => instances.ContainsKey(key);

    public IReadOnlyList<(string Type, int Count)> ActiveActors(HostedApp app) =>
        [.. app.ActorConfiguration.Types.Keys.Select(type => (type, instances.Keys.Count(key => key.Type == type)))];

    /// <summary>Waits for the actor's turn; activates it by the way.</summary>
    public async Task<ActorTurn> EnterAsync(ActorKey key, string? reentrancyId, CancellationToken cancellationToken)
    {
        while (true)
        {
            var app = await RequireHostAsync(key, cancellationToken);
            if (!app.ActorConfiguration.Types.TryGetValue(key.Type, out var settings))
            {
                throw NoAddress(key);
            }

            var instance = instances.GetOrAdd(key, static (k, state) => new ActorInstance(k, state.app, state.settings) { LastUsed = state.now },
                (app, settings, now: time.GetUtcNow()));
            var id = settings.ReentrancyEnabled ? reentrancyId ?? Guid.CreateVersion7().ToString() : null;
            switch (await instance.Lock.EnterAsync(id, cancellationToken))
            {
                case TurnOutcome.Entered:
                    return new ActorTurn(instance, id, time);
                case TurnOutcome.TooDeep:
                    throw new DaprError(500, StatusCode.ResourceExhausted, "ERR_ACTOR_STACK_DEPTH",
                        $"maximum stack depth exceeded for actor {key}: maxStackDepth is {settings.ReentrancyDepthMax}");
                case TurnOutcome.Closed:
                default:
                    continue;
            }
        }
    }

    /// <summary>Calls the actor for a timer or reminder, in its turn. True when the app asks that it should not recur.</summary>
    public async Task<bool> CallBackAsync(ActorKey key, string path, byte[] body, CancellationToken cancellationToken)
    {
        using var turn = await EnterAsync(key, null, cancellationToken);
        using var request = client.NewRequest(turn.Instance.App, HttpMethod.Put, key.Path + path);
        request.Content = new ByteArrayContent(body);
        request.Content.Headers.ContentType = new("application/json");
        AppClient.AddTrace(request, null, null);
        if (turn.ReentrancyId is { } id)
        {
            request.Headers.TryAddWithoutValidation("Dapr-Reentrancy-Id", id);
        }

        using var response = await client.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"the app answered {((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)}: {await AppClient.ReadTextAsync(response, cancellationToken)}");
        }

        return response.Headers.TryGetValues("X-Daprremindercancel", out var values) && values.Any(value => value.Equals("true", StringComparison.OrdinalIgnoreCase));
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await Task.WhenAll(scans.Values);
        stopping.Dispose();
    }

    public static DaprError NoAddress(ActorKey key) => new(404, StatusCode.FailedPrecondition, "ERR_ACTOR_NO_ADDRESS",
        $"did not find address for actor {key}: no hosted app has registered type {key.Type}");

    private async Task<HostedApp> RequireHostAsync(ActorKey key, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        while (true)
        {
            if (hosts.TryGetValue(key.Type, out var app))
            {
                return app;
            }

            // Only an app that is still to come can bring the type: when all are there, waiting would help nobody.
            if (time.GetElapsedTime(startedAt) > HostWait || !AllApps().Any(candidate => candidate.State.Health is AppHealth.Starting or AppHealth.BackingOff))
            {
                throw NoAddress(key);
            }

            await Task.Delay(HostPoll, time, cancellationToken);
        }
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
                        await DeactivateAsync(instance);
                        Forget(instance);
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
