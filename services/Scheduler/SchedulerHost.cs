using Dapr.Actors.Client;
using Dapr.Actors.Runtime;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Hubs;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.Scheduler.Modules;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Overflow;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Results;
using RenderTrust.Scheduler.Supervision;
using RenderTrust.Scheduler.Timings;
using RenderTrust.Scheduler.Traces;
using RenderTrust.ServiceDefaults;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler;

/// <summary>Puts the process together; tests start the same one.</summary>
internal static class SchedulerHost
{
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder(args);
        configure?.Invoke(builder);
        // Before the defaults: spans of this process go straight into the table.
        builder.Services.AddSingleton<SpanTable>().AddSingleton<ISpanSink>(provider => provider.GetRequiredService<SpanTable>());
        builder.AddServiceDefaults(Apps.Scheduler);
        builder.Services.AddValidation();
        builder.Services.AddPostgres(builder.Configuration, Apps.Scheduler, typeof(SchedulerHost).Assembly);
        builder.Services.AddOutbox(services => services.GetRequiredService<DaprPublisher>().PublishAsync);
        AddOptions(builder);
        AddTraces(builder);
        AddNodes(builder.Services, builder.Configuration);
        AddJobs(builder.Services);
        AddSagas(builder.Services);
        AddOverflow(builder.Services);
        var isPlacer = builder.Configuration.GetValue<SchedulerRole>($"{SchedulerOptions.Section}:{nameof(SchedulerOptions.Role)}") == SchedulerRole.Placer;
        if (!isPlacer)
        {
            AddWorkOfReplicas(builder.Services);
        }

        var app = builder.Build();
        app.MapDefaultEndpoints();
        if (!isPlacer)
        {
            app.MapActorsHandlers().RequireSidecar();
            app.MapRoutes();
        }

        return app;
    }

    private static void AddOptions(WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<SchedulerOptions>()
            .Bind(builder.Configuration.GetSection(SchedulerOptions.Section))
            .PostConfigure<ServiceApp>((options, app) => options.Development = app.IsDevelopment)
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddOptions<PlacementOptions>()
            .Bind(builder.Configuration.GetSection(PlacementOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddOptions<SagaOptions>()
            .Bind(builder.Configuration.GetSection(SagaOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddOptions<OverflowOptions>()
            .Bind(builder.Configuration.GetSection(OverflowOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
    }

    private static void AddTraces(WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<TraceOptions>()
            .Bind(builder.Configuration.GetSection(TraceOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddSingleton<JobActivities>();
        builder.Services.AddSingleton<BudgetHistograms>();
    }

    private static void AddOverflow(IServiceCollection services)
    {
        services.AddSingleton<OverflowWake>();
        services.AddSingleton<OverflowTurn>();
        services.AddSingleton<PoolDirectory>();
        services.AddSingleton<AgentProgram>();
        services.AddSingleton<IOverflowCapacity, LocalAgents>();
    }

    private static void AddNodes(IServiceCollection services, ConfigurationManager configuration)
    {
        services.AddSingleton<Fleet>();
        services.AddSingleton<LeaseSlot>();
        services.AddSingleton<NodeSessions>();
        services.AddSingleton<NodeOwners>();
        services.AddSingleton<HubClient>();

        // As AddActors would make it, with calls that carry the trace.
        services.AddSingleton<IActorProxyFactory>(provider =>
        {
            var runtime = provider.GetRequiredService<IOptions<ActorRuntimeOptions>>().Value;
            return new ActorProxyFactory(
                new ActorProxyOptions
                {
                    UseJsonSerialization = runtime.UseJsonSerialization,
                    JsonSerializerOptions = runtime.JsonSerializerOptions,
                    HttpEndpoint = runtime.HttpEndpoint,
                    DaprApiToken = runtime.DaprApiToken,
                },
                new TraceHeadersHandler());
        });
        services.AddActors(options =>
        {
            options.UseJsonSerialization = true;
            options.JsonSerializerOptions = WireJson.Options;
            options.HttpEndpoint = configuration["DAPR_HTTP_ENDPOINT"] is { Length: > 0 } endpoint
                ? endpoint
                : $"http://127.0.0.1:{configuration["DAPR_HTTP_PORT"] ?? "3500"}";
            options.Actors.RegisterActor<NodeActor>();
        });
    }

    private static void AddJobs(IServiceCollection services)
    {
        services.AddSingleton<JobEventSignal>();
        services.AddSingleton<PlacerWake>();
        services.AddSingleton<SupervisorWake>();
        services.AddSingleton<ModuleDirectory>();
        services.AddSingleton<SubmitJob>();
        services.AddSingleton<EndJob>();
        services.AddSingleton<CancelTask>();
        services.AddSingleton<JobLog>();
        services.AddSingleton<ListJobs>();
        services.AddSingleton<GetJob>();
        services.AddSingleton<TailJobEvents>();
        services.AddSingleton<AcceptResult>();
        services.AddSingleton<RecordProgress>();
        services.AddSingleton<ClaimUnits>();
        services.AddSingleton<DispatchLease>();
        services.AddSingleton<FailAttempt>();
        services.AddSingleton<TimingLog>();
        services.AddHostedService(provider => provider.GetRequiredService<TimingLog>());
        services.AddHostedService<WarmUp>();
        services.AddHostedService<PlaceUnitsLoop>();
    }

    /// <summary>What a placer leaves to the replicas that do everything.</summary>
    private static void AddWorkOfReplicas(IServiceCollection services)
    {
        services.AddHostedService<SuperviseLoop>();
        if (!services.Any(service => service.ServiceType == typeof(IJobSagaEngine)))
        {
            JobSagaEngine.AddTo(services);
        }

        services.AddHostedService<RelaySagaSignalsLoop>();
        services.AddHostedService<ForgetSagasLoop>();
        services.AddHostedService<ScaleOverflowLoop>();
        services.AddSingleton<PruneSpansLoop>();
        services.AddHostedService(provider => provider.GetRequiredService<PruneSpansLoop>());
    }

    private static void AddSagas(IServiceCollection services)
    {
        services.AddSingleton<SagaWake>();
        SagaSteps.AddTo(services);
    }
}
