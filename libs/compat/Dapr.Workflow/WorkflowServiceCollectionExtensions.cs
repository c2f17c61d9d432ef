using System.Text.Json;
using Dapr.Common.Serialization;
using Dapr.Workflow.Client;
using Dapr.Workflow.Registration;
using Dapr.Workflow.Serialization;
using Dapr.Workflow.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Dapr.Workflow;

/// <summary>Adds workflows to an app: a worker that runs what is registered, and <see cref="DaprWorkflowClient"/>. Once per app.</summary>
public static class WorkflowServiceCollectionExtensions
{
    /// <summary>Adds a client; with nothing registered there is nothing for a worker to do.</summary>
    public static IServiceCollection AddDaprWorkflow(this IServiceCollection services) => AddDaprWorkflow(services, _ => { });

    /// <summary>Adds client and worker.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="configure">Registers workflows and activities.</param>
    /// <param name="lifetime">Of <see cref="DaprWorkflowClient"/>.</param>
    public static IServiceCollection AddDaprWorkflow(
        this IServiceCollection services, Action<WorkflowRuntimeOptions> configure, ServiceLifetime lifetime = ServiceLifetime.Singleton)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return Add(services, configure, null, lifetime);
    }

    /// <summary>Adds client and worker, and goes on with a builder.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="configureRuntime">Registers workflows and activities.</param>
    /// <param name="configureClient">Gives the client an endpoint or token of its own.</param>
    /// <param name="lifetime">Of <see cref="DaprWorkflowClient"/>.</param>
    public static DaprWorkflowBuilder AddDaprWorkflowBuilder(
        this IServiceCollection services,
        Action<WorkflowRuntimeOptions>? configureRuntime = null,
        Action<IServiceProvider, DaprWorkflowClientBuilder>? configureClient = null,
        ServiceLifetime lifetime = ServiceLifetime.Singleton) => new(Add(services, configureRuntime ?? (_ => { }), configureClient, lifetime));

    private static IServiceCollection Add(
        IServiceCollection services, Action<WorkflowRuntimeOptions> configure, Action<IServiceProvider, DaprWorkflowClientBuilder>? configureClient, ServiceLifetime lifetime)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(service => service.ServiceType == typeof(WorkflowRuntimeOptions)))
        {
            // The official package would pass over what the second call registers without a word.
            throw new InvalidOperationException("AddDaprWorkflow was called before. Register all workflows and activities in one call.");
        }

        var options = new WorkflowRuntimeOptions();
        configure(options);
        services.AddSingleton(options);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(new SerializerChoice(new JsonDaprSerializer()));
        services.TryAddSingleton(provider => SidecarChannel.Open(provider.GetService<IConfiguration>(), options.GrpcChannelOptions));
        services.TryAdd(ServiceDescriptor.Describe(typeof(DaprWorkflowClient), provider => MakeClient(provider, configureClient), lifetime));
        services.TryAddSingleton<WorkItemRunner>();
        services.AddHostedService<WorkflowWorker>();
        return services;
    }

    private static DaprWorkflowClient MakeClient(IServiceProvider services, Action<IServiceProvider, DaprWorkflowClientBuilder>? configure)
    {
        var serializer = services.GetRequiredService<SerializerChoice>().Serializer;
        if (configure is null)
        {
            return new DaprWorkflowClient(services.GetRequiredService<SidecarChannel>().Calls, serializer, services.GetRequiredService<TimeProvider>());
        }

        var builder = new DaprWorkflowClientBuilder(services.GetService<IConfiguration>()).Use(serializer);
        configure(services, builder);
        return builder.Build();
    }

    /// <summary>Chooses the serializer and message sizes.</summary>
    public readonly record struct DaprWorkflowBuilder : IDaprWorkflowBuilder
    {
        internal DaprWorkflowBuilder(IServiceCollection services) => Services = services;

        /// <summary>The app's services.</summary>
        public IServiceCollection Services { get; }

        /// <summary>Takes another serializer for inputs, outputs, events and custom statuses.</summary>
        public DaprWorkflowBuilder WithSerializer(IDaprSerializer serializer)
        {
            ArgumentNullException.ThrowIfNull(serializer);
            Services.Replace(ServiceDescriptor.Singleton(new SerializerChoice(serializer)));
            return this;
        }

        /// <summary>Takes another serializer, made from the app's services.</summary>
        public DaprWorkflowBuilder WithSerializer(Func<IServiceProvider, IWorkflowSerializer> serializerFactory)
        {
            ArgumentNullException.ThrowIfNull(serializerFactory);
            Services.Replace(ServiceDescriptor.Singleton(provider => new SerializerChoice(serializerFactory(provider))));
            return this;
        }

        /// <summary>Keeps JSON, with other options.</summary>
        public DaprWorkflowBuilder WithJsonSerializer(JsonSerializerOptions jsonOptions)
        {
            ArgumentNullException.ThrowIfNull(jsonOptions);
            return WithSerializer(new JsonDaprSerializer(jsonOptions));
        }

        /// <summary>Limits the gRPC messages; in bytes, null: no limit.</summary>
        public DaprWorkflowBuilder WithGrpcMessageSizeLimits(int? maxReceiveMessageSize, int? maxSendMessageSize)
        {
            var options = (WorkflowRuntimeOptions)Services.First(service => service.ServiceType == typeof(WorkflowRuntimeOptions)).ImplementationInstance!;
            var channel = options.GrpcChannelOptions ?? SidecarChannel.NewOptions();
            (channel.MaxReceiveMessageSize, channel.MaxSendMessageSize) = (maxReceiveMessageSize, maxSendMessageSize);
            options.UseGrpcChannelOptions(channel);
            return this;
        }
    }
}
