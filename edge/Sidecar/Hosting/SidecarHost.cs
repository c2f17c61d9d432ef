using System.Net;
using System.Net.Sockets;
using DaprReflection = Dapr.Client.Autogen.Grpc.v1.DaprReflection;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Rpc;
using RenderTrust.Sidecar.Invoke;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Resilience;
using RenderTrust.Sidecar.Secrets;
using RenderTrust.Sidecar.State;
using RenderTrust.Sidecar.Workflows;
using RenderTrust.Telemetry;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Hosting;

internal sealed record SidecarOptions
{
    public required string RunFile { get; init; }

    /// <summary>One app told on the command line, instead of the run file's.</summary>
    public AppDefinition? App { get; init; }

    /// <summary>The host ends when its app does, with the app's success or failure.</summary>
    public bool EndsWithApp { get; init; }

    /// <summary>Replaces the resource paths of every app when given.</summary>
    public IReadOnlyList<string> ResourcePaths { get; init; } = [];
    public string? LogDirectory { get; init; }
    public string? StatusFile { get; init; }
    public string? DaprApiToken { get; init; }
    public string? AppApiToken { get; init; }
    public SupervisorOptions Supervisor { get; init; } = new();

    /// <summary>Null keeps no spans here.</summary>
    public SpanSink? SpanSink { get; init; }

    /// <summary>Null sends no spans to a collector.</summary>
    public string? OtlpEndpoint { get; init; }
    public LogLevel LogLevel { get; init; } = LogLevel.Information;
}

/// <summary>A port that an app needs and someone else has.</summary>
internal sealed class PortTakenException(string appId, string what, int port, string file, long line)
    : Exception($"{file}:{line}: app {appId}: {what} port {port} is already in use, stop what listens on it (ss -ltnp 'sport = :{port}') or give the app another port")
{
    public int Port => port;
}

/// <summary>Asks the whole host to end. Only the log tells the causes apart.</summary>
internal sealed class SidecarLifetime : IDisposable
{
    private readonly TaskCompletionSource stopRequested = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly CancellationTokenSource ending = new();

    public Task StopRequested => stopRequested.Task;

    /// <summary>Ends calls that would last as long as their callers like.</summary>
    public CancellationToken Ending => ending.Token;

    public string Cause { get; private set; } = "its owner";

    /// <summary>Of the program: 0, unless an app that the host ends with has failed.</summary>
    public int ExitCode { get; set; }

    public Task EndAsync() => ending.CancelAsync();

    public void Dispose() => ending.Dispose();

    public void Stop(string cause)
    {
        Cause = cause;
        stopRequested.TrySetResult();
    }
}

/// <summary>The whole sidecar host: endpoints, components, supervised apps.</summary>
internal sealed partial class SidecarHost : IAsyncDisposable
{
    /// <summary>For an app that writes where its host does.</summary>
    private const string ConsoleOutput = "/dev/stdout";

    private readonly WebApplication web;
    private readonly List<AppSupervisor> supervisors;
    private readonly WorkflowEngines workflows;
    private readonly HostDirectories directories;
    private readonly StatusFile status;
    private readonly IReadOnlyList<IAsyncDisposable> owned;
    private readonly ILogger logger;
    private bool isStopped;

    private SidecarHost(
        WebApplication web, AppDirectory apps, SidecarLifetime lifetime, List<AppSupervisor> supervisors, WorkflowEngines workflows, HostDirectories directories, StatusFile status,
        IReadOnlyList<IAsyncDisposable> owned, ILogger logger)
    {
        this.web = web;
        this.supervisors = supervisors;
        this.workflows = workflows;
        this.directories = directories;
        this.status = status;
        this.owned = owned;
        this.logger = logger;
        Apps = apps;
        Lifetime = lifetime;
    }

    public AppDirectory Apps { get; }
    public SidecarLifetime Lifetime { get; }

    public static async Task<SidecarHost> StartAsync(SidecarOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        // Step 1: read everything that the user wrote, so that a mistake stops us before anything has started.
        var run = options.App is { } single ? new RunFile(options.RunFile, [single]) : RunFile.Read(options.RunFile);
        var definitions = run.Apps.Select(PickPorts).ToList();
        var resources = definitions.ToDictionary(
            app => app.AppId, app => Resources.Read(options.ResourcePaths.Count > 0 ? options.ResourcePaths : app.ResourcePaths));
        var declarative = resources.ToDictionary(
            entry => entry.Key,
            entry => entry.Value.Subscriptions.Where(subscription => subscription.IsVisibleTo(entry.Key)).Select(Subscription.From).ToList());
        var configurations = definitions.ToDictionary(app => app.AppId, app => AppConfiguration.Read(app.ConfigurationFile));
        var resiliences = definitions.ToDictionary(app => app.AppId, app => new AppResilience(ResiliencyFile.Read(resources[app.AppId].Resiliencies, app.AppId), time));
        RefuseTakenPorts(definitions);

        // Step 2: connect to databases and brokers.
        var builder = NewBuilder(options, definitions.Max(app => app.MaxBodyBytes));
        var tokens = new SidecarTokens(options.DaprApiToken, options.AppApiToken ?? SidecarTokens.NewSecret());
        var client = new AppClient(tokens);
        var lifetime = new SidecarLifetime();
        var loggers = LoggerFactory.Create(logging => ConfigureLogging(logging, options));
        var logger = loggers.CreateLogger<SidecarHost>();
        foreach (var ignored in resources.Values.SelectMany(found => found.Ignored).Concat(configurations.Values.SelectMany(found => found.WithoutEffect)).Distinct())
        {
            LogIgnored(logger, ignored);
        }

        var factory = new ComponentFactory(time, loggers);
        var logDirectory = PrepareLogs(options, run);
        var hosted = new List<HostedApp>();
        foreach (var definition in definitions)
        {
            var components = await factory.CreateAsync(
                definition, resources[definition.AppId], configurations[definition.AppId], resiliences[definition.AppId], cancellationToken);
            hosted.Add(new HostedApp(definition, components, definition.LogsToConsole ? ConsoleOutput : Path.Combine(logDirectory, definition.AppId + ".log"), time)
            {
                Configuration = configurations[definition.AppId],
                Resilience = resiliences[definition.AppId],
            });
        }

        // Step 3: the endpoints, before any app: an app may wait for its sidecar while it starts.
        var apps = new AppDirectory(hosted);
        var spans = StartSpans(options, apps, client, time, loggers);
        var actors = new ActorRuntime(client, time, loggers.CreateLogger<ActorRuntime>()) { AllApps = () => apps.Apps };
        var timers = new ActorTimers(actors, time, loggers.CreateLogger<ActorTimers>());
        var reminders = new Reminders(actors, time, loggers);
        foreach (var store in hosted.Select(app => app.Components.ActorStore?.Store).OfType<IStateStore>().Distinct())
        {
            await reminders.ForAsync(store, cancellationToken);
        }

        var workflows = await OpenWorkflowsAsync(hosted, time, loggers, cancellationToken);
        var directories = await HostDirectories.OpenAsync(apps, actors, time, loggers, cancellationToken);
        actors.Directories = directories;
        actors.Left += timers.UnregisterWhere;
        var forwarder = new Forwarder(client);
        var actorApi = new ActorApi(actors, timers, reminders);
        builder.Services.AddSingleton(directories);
        builder.Services.AddSingleton(forwarder);
        builder.Services.AddSingleton<PeerEndpoint>();
        builder.Services.AddSingleton(actors);
        builder.Services.AddSingleton(apps);
        builder.Services.AddSingleton(client);
        builder.Services.AddSingleton(tokens);
        builder.Services.AddSingleton<GrpcProxy>();
        builder.Services.AddSingleton(actorApi);
        builder.Services.AddSingleton(lifetime);
        var workflowApi = new DaprWorkflowApi(workflows);
        builder.Services.AddSingleton(workflows);
        builder.Services.AddSingleton(workflowApi);
        builder.Services.AddSingleton<IServiceMethodProvider<TaskHubService>>(
            new DescriptorBinding<TaskHubService>(TaskhubReflection.Descriptor.Services.Single()));
        builder.Services.AddSingleton<IServiceMethodProvider<DaprService>>(
            new DescriptorBinding<DaprService>(DaprReflection.Descriptor.Services.Single(service => service.Name == "Dapr")));
        var web = Build(builder, definitions, apps, tokens, directories, lifetime, loggers, new ActorsHttp(actors, actorApi, forwarder), actors, new WorkflowsHttp(workflowApi));
        try
        {
            await web.StartAsync(cancellationToken);
        }
        catch (IOException e) when (e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException)
        {
            // Taken between our check and now.
            RefuseTakenPorts(definitions);
            throw;
        }

        directories.Start(new PeerAddress(web.Urls.Single(url => apps.ByPort(new Uri(url).Port) is null), tokens.PeerSecret));

        // Step 4: the apps.
        var status = new StatusFile(options.StatusFile, apps, time);
        var launcher = new ProcessLauncher();
        if (ProcessLauncher.Wrapper.Count == 0)
        {
            LogNoWrapper(logger);
        }

        var supervision = !options.EndsWithApp ? options.Supervisor : options.Supervisor with
        {
            AppEnded = code =>
            {
                lifetime.ExitCode = code == 0 ? 0 : 1;
                lifetime.Stop($"the end of its app, with code {code}");
            },
        };
        var supervisors = hosted.ConvertAll(app => new AppSupervisor(
            app, client, actors, timers, launcher, supervision, declarative[app.Id], time, loggers.CreateLogger<AppSupervisor>()));
        supervisors.ForEach(supervisor => supervisor.Start());
        LogStarted(logger, run.Path, hosted.Count);
        return new SidecarHost(web, apps, lifetime, supervisors, workflows, directories, status, [.. spans, timers, reminders, actors, factory, new Ending(() =>
        {
            launcher.Dispose();
            client.Dispose();
            loggers.Dispose();
            return Task.CompletedTask;
        })], logger);
    }

    /// <summary>Ends subscriptions, lets calls under way finish, stops the apps, and only then the endpoints they talk to.</summary>
    public async Task StopAsync()
    {
        if (isStopped)
        {
            return;
        }

        isStopped = true;
        LogStopping(logger, Lifetime.Cause);
        status.SetStopping();
        await Lifetime.EndAsync();
        await Task.WhenAll(supervisors.Select(supervisor => supervisor.DisposeAsync().AsTask()));

        // Others may have our actors from here on; who still calls us hears that they are not here.
        await directories.DisposeAsync();

        // Workers' streams end with the engines; the server would wait for them.
        await workflows.DisposeAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await web.StopAsync(limit.Token);
        await status.DisposeAsync();
        await web.DisposeAsync();
        foreach (var item in owned)
        {
            await item.DisposeAsync();
        }

        Lifetime.Dispose();
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private static string PrepareLogs(SidecarOptions options, RunFile run)
    {
        var directory = Path.GetFullPath(options.LogDirectory ?? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(run.Path))!, ".dapr", "logs"));
        if (run.Apps.Any(app => !app.LogsToConsole))
        {
            Directory.CreateDirectory(directory);
        }

        return directory;
    }

    private static WebApplicationBuilder NewBuilder(SidecarOptions options, long maxBodyBytes)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [], ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.Sources.Clear();
        ConfigureLogging(builder.Logging, options);
        // The host ends when its owner says so, after the apps: not by its own signal handler, before them.
        builder.Services.AddSingleton<IHostLifetime, OwnedLifetime>();
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = (int)Math.Min(int.MaxValue, maxBodyBytes);
            grpc.IgnoreUnknownServices = false;
        });
        return builder;
    }

    private static void ConfigureLogging(ILoggingBuilder logging, SidecarOptions options)
    {
        logging.ClearProviders();
        logging.SetMinimumLevel(options.LogLevel);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddFilter("Grpc", LogLevel.Error);
        // Not even Critical: a logger that listens makes the server start an activity for every request.
        logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            console.ColorBehavior = Microsoft.Extensions.Logging.Console.LoggerColorBehavior.Disabled;
        });
    }

    private static WebApplication Build(
        WebApplicationBuilder builder, List<AppDefinition> definitions, AppDirectory apps, SidecarTokens tokens, HostDirectories directories,
        SidecarLifetime lifetime, ILoggerFactory loggers, ActorsHttp actorsHttp, ActorRuntime actors, WorkflowsHttp workflowsHttp)
    {
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // Streams may be as slow as their ends are.
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
            kestrel.ResponseHeaderEncodingSelector = static _ => System.Text.Encoding.UTF8;
            // For other hosts, on any port.
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            foreach (var app in definitions)
            {
                kestrel.Listen(IPAddress.Loopback, app.HttpPort, listen => listen.Protocols = HttpProtocols.Http1);
                kestrel.Listen(IPAddress.Loopback, app.GrpcPort, listen => listen.Protocols = HttpProtocols.Http2);
            }
        });
        var web = builder.Build();
        var pipeline = new SidecarPipeline(
            apps, tokens, new InvokeMiddleware(directories, web.Services.GetRequiredService<Forwarder>(), loggers.CreateLogger<InvokeMiddleware>()),
            web.Services.GetRequiredService<GrpcProxy>(), web.Services.GetRequiredService<PeerEndpoint>(), loggers.CreateLogger<SidecarPipeline>());
        web.Use(next => context => pipeline.HandleAsync(context, next));
        web.UseRouting();
        StateHttp.Map(web);
        PublishHttp.Map(web);
        SecretsHttp.Map(web);
        actorsHttp.Map(web);
        workflowsHttp.Map(web);
        MetadataHttp.Map(web, actors, () => lifetime.Stop("HTTP /v1.0/shutdown"));
        web.MapGrpcService<DaprService>();
        web.MapGrpcService<TaskHubService>();
        // Also for paths whose last part looks like a file, which the default pattern leaves out.
        web.MapFallback("{*path}", SidecarPipeline.UnknownAsync);
        return web;
    }

    private static List<IAsyncDisposable> StartSpans(SidecarOptions options, AppDirectory apps, AppClient client, TimeProvider time, ILoggerFactory loggers)
    {
        var started = new List<IAsyncDisposable>();
        if (Otlp.Start("sidecar", options.OtlpEndpoint) is { } otlp)
        {
            started.Add(new Ending(() =>
            {
                otlp.Dispose();
                return Task.CompletedTask;
            }));
        }

        if (options.SpanSink is { } sink)
        {
            if (apps.Find(sink.AppId) is not { HasPort: true })
            {
                throw new ConfigurationException(options.RunFile, 1, "--span-sink", $"names app {sink.AppId}, which this run file does not have", null, "name one of its apps and a path there");
            }

            var export = new ExportSpans(sink, apps, client, time, loggers.CreateLogger<ExportSpans>());
            export.Start();
            started.Add(export);
        }

        return started;
    }

    private static async Task<WorkflowEngines> OpenWorkflowsAsync(
        List<HostedApp> apps, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        try
        {
            return await WorkflowEngines.OpenAsync(apps, time, loggers, cancellationToken);
        }
        catch (Npgsql.PostgresException e)
        {
            var file = apps.Find(app => app.Components.ActorStore is not null)!.Definition;
            throw new ConfigurationException(file.File, file.Line, "resourcesPath",
                $"names an actor state store whose database refuses the workflow tables ({e.MessageText}, SQLSTATE {e.SqlState})", null,
                "let its role create tables and functions in the first schema of its search_path");
        }
    }

    private static AppDefinition PickPorts(AppDefinition app) => app with
    {
        HttpPort = app.HttpPort == 0 ? FreePort() : app.HttpPort,
        GrpcPort = app.GrpcPort == 0 ? FreePort() : app.GrpcPort,
    };

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void RefuseTakenPorts(IEnumerable<AppDefinition> apps)
    {
        foreach (var app in apps)
        {
            RefuseTaken(app, "Dapr HTTP", app.HttpPort);
            RefuseTaken(app, "Dapr gRPC", app.GrpcPort);

            // An app without a command is someone else's process, and may be there already.
            if (app.Command.Count > 0 && app.AppPort != 0)
            {
                RefuseTaken(app, "app", app.AppPort);
            }
        }
    }

    private static void RefuseTaken(AppDefinition app, string what, int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressAlreadyInUse or SocketError.AccessDenied)
        {
            throw new PortTakenException(app.AppId, what, port, app.File, app.Line);
        }
    }

    [LoggerMessage(LogLevel.Information, "Serving {RunFile} with {Apps} apps")]
    private static partial void LogStarted(ILogger logger, string runFile, int apps);

    [LoggerMessage(LogLevel.Warning, "{Resource} is read by daprd only: the embedded sidecar does not apply it")]
    private static partial void LogIgnored(ILogger logger, string resource);

    [LoggerMessage(LogLevel.Information, "Stopping, asked by {Cause}: subscriptions end, calls under way finish, then the apps stop")]
    private static partial void LogStopping(ILogger logger, string cause);

    [LoggerMessage(LogLevel.Warning, "setpriv (util-linux) was not found: apps will outlive this host if it is killed")]
    private static partial void LogNoWrapper(ILogger logger);

    private sealed class OwnedLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
