using System.Diagnostics;
using System.Net.Sockets;
using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Bindings;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>
/// Leads one app through its life, in daprd's order: the endpoints are up before it starts; then the app's port,
/// GET /dapr/config, GET /dapr/subscribe, input bindings, ready. An app that dies is started again.
/// An app without a command runs elsewhere: it is waited for, and watched on its port.
/// </summary>
internal sealed partial class AppSupervisor(
    HostedApp app, AppClient client, ActorRuntime actors, ActorTimers timers, ProcessLauncher launcher, SupervisorOptions options,
    IReadOnlyList<Subscription> declarative, TimeProvider time, ILogger<AppSupervisor> logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource stopping = new();
    private Task running = Task.CompletedTask;
    private Process? process;
    private int? exitCode;

    public void Start() => running = RunAsync(stopping.Token);

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
        stopping.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var backoff = options.BackoffMin;
        while (!cancellationToken.IsCancellationRequested)
        {
            var startedAt = time.GetTimestamp();
            try
            {
                await RunOnceAsync(cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                // The top of a loop: whatever went wrong with this start, the next one may do better.
                LogStartFailed(logger, e, app.Id);
                app.Update(state => state with { Message = e.Message });
            }
            finally
            {
                await EndProcessAsync();
            }

            if (cancellationToken.IsCancellationRequested || (exitCode is not null && options.AppEnded is not null))
            {
                break;
            }

            // An app that has run for a while earns a quick restart.
            backoff = time.GetElapsedTime(startedAt) > options.BackoffResetAfter ? options.BackoffMin : backoff;
            app.Update(state => state with { Health = AppHealth.BackingOff, ProcessId = null, Restarts = state.Restarts + 1 });
            try
            {
                await Task.Delay(backoff, time, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                break;
            }

            backoff = TimeSpan.FromTicks(Math.Min(options.BackoffMax.Ticks, backoff.Ticks * 2));
        }

        app.Update(state => state with { Health = AppHealth.Stopped, ProcessId = null });
        if (exitCode is { } code)
        {
            options.AppEnded?.Invoke(code);
        }
    }

    private async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        app.Update(state => state with { Health = AppHealth.Starting });
        var exited = await LaunchAsync();
        await WaitForPortAsync(exited, cancellationToken);
        if (exited.IsCompleted)
        {
            ReportExit();
            return;
        }

        app.ActorConfiguration = await ReadActorsAsync(cancellationToken);
        actors.Register(app);
        var endings = new List<IAsyncDisposable>();
        try
        {
            // An app without a port can hear nothing; a subscription for it would take messages away.
            app.Subscriptions = app.HasPort && !app.SpeaksGrpc ? Subscription.Merge(declarative, await ReadSubscriptionsAsync(exited, cancellationToken)) : [];
            endings.AddRange(await SubscribeAsync(cancellationToken));
            endings.AddRange((app.SpeaksGrpc ? [] : app.Components.CronBindings).Select(binding => binding.Start(app, client, time, logger)));
            app.Update(state => state with { Health = AppHealth.Ready, Message = null });
            LogReady(logger, app.Id, app.Subscriptions.Count, app.ActorConfiguration.Types.Count);
            await WatchAsync(exited, cancellationToken);
            ReportExit();
        }
        finally
        {
            timers.UnregisterWhere(actor => app.ActorConfiguration.Types.ContainsKey(actor.Type));
            await actors.UnregisterAsync(app, isGone: exited.IsCompleted || !cancellationToken.IsCancellationRequested);
            foreach (var ending in endings)
            {
                await ending.DisposeAsync();
            }

            app.Subscriptions = [];
        }
    }

    private async Task<Task> LaunchAsync()
    {
        var definition = app.Definition;
        if (definition.Command.Count == 0)
        {
            // It runs elsewhere: there is no exit to hear of, only its port to watch.
            return new TaskCompletionSource().Task;
        }

        var environment = new Dictionary<string, string>(definition.Environment)
        {
            ["APP_ID"] = definition.AppId,
            ["APP_PROTOCOL"] = definition.Protocol,
            ["APP_CHANNEL_ADDRESS"] = definition.ChannelAddress,
            ["DAPR_HTTP_PORT"] = $"{definition.HttpPort}",
            ["DAPR_GRPC_PORT"] = $"{definition.GrpcPort}",
            ["APP_API_TOKEN"] = client.Tokens.AppApiToken,
        };
        if (app.HasPort)
        {
            environment["APP_PORT"] = $"{definition.AppPort}";
        }

        if (client.Tokens.DaprApiToken is { } token)
        {
            environment["DAPR_API_TOKEN"] = token;
        }

        if (!definition.LogsToConsole)
        {
            await File.AppendAllTextAsync(app.LogPath, $"== {time.GetUtcNow():O} {app.Id}: {string.Join(' ', definition.Command)}{Environment.NewLine}");
        }

        process = await launcher.StartAsync(definition.Command[0], definition.Command.Skip(1), definition.Directory, environment, app.LogPath);
        app.Update(state => state with { ProcessId = process.Id });
        LogStarted(logger, app.Id, process.Id, app.LogPath);
        return process.WaitForExitAsync(CancellationToken.None);
    }

    private async Task WaitForPortAsync(Task exited, CancellationToken cancellationToken)
    {
        if (!app.HasPort)
        {
            return;
        }

        while (!exited.IsCompleted && !await IsListeningAsync(cancellationToken))
        {
            await Task.Delay(options.PortPollInterval, time, cancellationToken);
        }
    }

    private async Task<bool> IsListeningAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(2));
        try
        {
            await socket.ConnectAsync(app.Definition.ChannelAddress, app.Definition.AppPort, limit.Token);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<ActorConfiguration> ReadActorsAsync(CancellationToken cancellationToken)
    {
        if (!app.HasPort || app.SpeaksGrpc)
        {
            return ActorConfiguration.None;
        }

        using var request = client.NewRequest(app, HttpMethod.Get, "/dapr/config");
        using var response = await client.SendAsync(request, cancellationToken);
        return response.IsSuccessStatusCode
            ? ActorConfiguration.Read(await response.Content.ReadAsByteArrayAsync(cancellationToken), app.Id)
            : ActorConfiguration.None;
    }

    private async Task<IReadOnlyList<Subscription>> ReadSubscriptionsAsync(Task exited, CancellationToken cancellationToken)
    {
        while (true)
        {
            using var request = client.NewRequest(app, HttpMethod.Get, "/dapr/subscribe");
            using var response = await client.SendAsync(request, cancellationToken);
            if (response.IsSuccessStatusCode)
            {
                return Subscription.Read(await response.Content.ReadAsByteArrayAsync(cancellationToken), app.Id);
            }

            if ((int)response.StatusCode < 500 || exited.IsCompleted)
            {
                return [];
            }

            LogSubscribeRetried(logger, app.Id, (int)response.StatusCode);
            await Task.Delay(options.SubscribeRetryDelay, time, cancellationToken);
        }
    }

    private async Task<List<IAsyncDisposable>> SubscribeAsync(CancellationToken cancellationToken)
    {
        var endings = new List<IAsyncDisposable>();
        foreach (var group in app.Subscriptions.GroupBy(subscription => subscription.PubSub))
        {
            if (!app.Components.PubSubs.TryGetValue(group.Key, out var pubSub))
            {
                LogNoPubSub(logger, app.Id, group.Key);
                app.Update(state => state with { Message = $"subscribes to pubsub '{group.Key}', which this app has no component for" });
                continue;
            }

            var handlers = new Dictionary<string, BrokerHandler>();
            var bulks = new List<BulkRoute>();
            foreach (var subscription in group)
            {
                if (!pubSub.Scopes.MaySubscribe(subscription.Topic))
                {
                    LogForbidden(logger, app.Id, group.Key, subscription.Topic);
                    continue;
                }

                IEventSink sink = new AppRoute(app, client, logger);
                if (subscription.Bulk is { } bulkOptions)
                {
                    var bulk = new BulkRoute(app, subscription, bulkOptions, client, logger);
                    bulks.Add(bulk);
                    sink = bulk;
                }

                handlers[subscription.Topic] = new EventDelivery(app, subscription, pubSub, sink, time, logger).HandleAsync;
            }

            if (handlers.Count > 0)
            {
                endings.Add(await pubSub.Broker.SubscribeAsync(handlers, cancellationToken));
            }

            // After the subscription, whose last events still wait for them.
            endings.AddRange(bulks);
        }

        return endings;
    }

    /// <summary>Until the app is gone.</summary>
    private async Task WatchAsync(Task exited, CancellationToken cancellationToken)
    {
        var failures = 0;
        while (!exited.IsCompleted)
        {
            var interval = app.Definition.HealthCheckEnabled ? app.Definition.HealthProbeInterval : options.WatchInterval;
            await Task.WhenAny(exited, Task.Delay(interval, time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            if (exited.IsCompleted)
            {
                return;
            }

            if (process is null && app.HasPort && !await IsListeningAsync(cancellationToken))
            {
                return;
            }

            if (app.Definition.HealthCheckEnabled)
            {
                failures = await IsHealthyAsync(cancellationToken) ? 0 : failures + 1;
                var health = failures >= app.Definition.HealthThreshold ? AppHealth.Unhealthy : AppHealth.Ready;
                if (app.State.Health != health && (failures == 0 || health == AppHealth.Unhealthy))
                {
                    LogHealth(logger, app.Id, health);
                    app.Update(state => state with { Health = health });
                }
            }
        }
    }

    private async Task<bool> IsHealthyAsync(CancellationToken cancellationToken)
    {
        if (app.SpeaksGrpc)
        {
            return await IsListeningAsync(cancellationToken);
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(app.Definition.HealthProbeTimeout);
        var path = app.Definition.HealthCheckPath;
        using var request = client.NewRequest(app, HttpMethod.Get, path.StartsWith('/') ? path : "/" + path);
        try
        {
            using var response = await client.SendAsync(request, limit.Token);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private void ReportExit()
    {
        if (process is { HasExited: true } gone)
        {
            exitCode = gone.ExitCode;
            var message = $"exited with code {gone.ExitCode}; its output is in {app.LogPath}";
            LogExited(logger, app.Id, gone.Id, gone.ExitCode, app.LogPath);
            app.Update(state => state with { Message = message });
        }
        else if (process is null)
        {
            LogPortClosed(logger, app.Id, app.Address);
            app.Update(state => state with { Message = $"no longer listens at {app.Address}" });
        }
    }

    private async Task EndProcessAsync()
    {
        if (process is not { } child)
        {
            return;
        }

        process = null;
        if (!child.HasExited)
        {
            Signals.Send(child.Id, Signals.Terminate);
            using var limit = new CancellationTokenSource(options.StopTimeout, time);
            try
            {
                await child.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                LogKilled(logger, app.Id, child.Id, options.StopTimeout);
            }
        }

        // Also when it exited by itself: what it started must not outlive it.
        Signals.Send(child.Id, Signals.Kill);
        await child.WaitForExitAsync(CancellationToken.None);
        child.Dispose();
    }

    [LoggerMessage(LogLevel.Information, "App {AppId} started as process {ProcessId}, output in {LogPath}")]
    private static partial void LogStarted(ILogger logger, string appId, int processId, string logPath);

    [LoggerMessage(LogLevel.Information, "App {AppId} is ready: {Subscriptions} subscriptions, {ActorTypes} actor types")]
    private static partial void LogReady(ILogger logger, string appId, int subscriptions, int actorTypes);

    [LoggerMessage(LogLevel.Error, "App {AppId}, process {ProcessId}, exited with code {ExitCode}; its output is in {LogPath}")]
    private static partial void LogExited(ILogger logger, string appId, int processId, int exitCode, string logPath);

    [LoggerMessage(LogLevel.Warning, "App {AppId} no longer listens at {Address}")]
    private static partial void LogPortClosed(ILogger logger, string appId, string address);

    [LoggerMessage(LogLevel.Error, "App {AppId} could not be started")]
    private static partial void LogStartFailed(ILogger logger, Exception exception, string appId);

    [LoggerMessage(LogLevel.Warning, "App {AppId}: GET /dapr/subscribe answered {Status}, asking again")]
    private static partial void LogSubscribeRetried(ILogger logger, string appId, int status);

    [LoggerMessage(LogLevel.Error, "App {AppId} subscribes to pubsub {PubSub}, which it has no component for; check the component's name and scopes")]
    private static partial void LogNoPubSub(ILogger logger, string appId, string pubSub);

    [LoggerMessage(LogLevel.Error, "App {AppId} may not subscribe to topic {Topic} of pubsub {PubSub}; check subscriptionScopes, allowedTopics, protectedTopics")]
    private static partial void LogForbidden(ILogger logger, string appId, string pubSub, string topic);

    [LoggerMessage(LogLevel.Warning, "App {AppId} is now {Health}")]
    private static partial void LogHealth(ILogger logger, string appId, AppHealth health);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, process {ProcessId}, did not stop within {Timeout} and was killed")]
    private static partial void LogKilled(ILogger logger, string appId, int processId, TimeSpan timeout);
}

/// <summary>Delays of supervision. Units are in the types; tests shorten them.</summary>
internal sealed record SupervisorOptions
{
    public TimeSpan PortPollInterval { get; init; } = TimeSpan.FromMilliseconds(50);
    public TimeSpan WatchInterval { get; init; } = TimeSpan.FromSeconds(1);
    public TimeSpan SubscribeRetryDelay { get; init; } = TimeSpan.FromSeconds(1);
    public TimeSpan BackoffMin { get; init; } = TimeSpan.FromMilliseconds(500);
    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromSeconds(30);
    public TimeSpan BackoffResetAfter { get; init; } = TimeSpan.FromSeconds(30);
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>When set, an app that exits by itself is not started again; this hears its exit code.</summary>
    public Action<int>? AppEnded { get; init; }
}
