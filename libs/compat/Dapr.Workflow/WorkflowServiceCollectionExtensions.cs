using System.Text.Json;
using Dapr.Common.Serialization;
using Dapr.Workflow.Client;
using Dapr.Workflow.Registration;
using Dapr.Workflow.Serialization;
using Dapr.Workflow.Worker;
using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Dapr.Workflow;

/// <summary>Adds workflows to an app: a worker that runs what is registered, and <see cref="DaprWorkflowClient"/>.</summary>
public static class WorkflowServiceCollectionExtensions
{
    /// <summary>Adds the client only.</summary>
    public static IServiceCollection AddDaprWorkflow(this IServiceCollection serviceCollection) => AddDaprWorkflow(serviceCollection, _ => { });

    /// <summary>Adds client and worker. Called again, it adds to what is registered.</summary>
    /// <param name="serviceCollection">The app's services.</param>
    /// <param name="configure">Registers workflows and activities.</param>
    /// <param name="lifetime">Of <see cref="DaprWorkflowClient"/>.</param>
    public static IServiceCollection AddDaprWorkflow(
        this IServiceCollection serviceCollection, Action<WorkflowRuntimeOptions> configure, ServiceLifetime lifetime = ServiceLifetime.Singleton)
    {
        ArgumentNullException.ThrowIfNull(serviceCollection);
        ArgumentNullException.ThrowIfNull(configure);
        serviceCollection.AddSingleton(new RuntimeConfiguration(configure));
        serviceCollection.TryAddSingleton(services =>
        {
            var options = new WorkflowRuntimeOptions();
            foreach (var configuration in services.GetServices<RuntimeConfiguration>())
            {
                configuration.Configure(options);
            }

            return options;
        });
        serviceCollection.TryAddSingleton(TimeProvider.System);
        serviceCollection.TryAddSingleton(new SerializerChoice(new JsonDaprSerializer()));
        serviceCollection.TryAddSingleton(services =>
            new SidecarChannel(services.GetService<IConfiguration>(), services.GetRequiredService<WorkflowRuntimeOptions>().GrpcChannelOptions));
        serviceCollection.TryAdd(ServiceDescriptor.Describe(typeof(DaprWorkflowClient), services => new DaprWorkflowClient(
            services.GetRequiredService<SidecarChannel>().Calls, services.GetRequiredService<SerializerChoice>().Serializer, services.GetRequiredService<TimeProvider>()), lifetime));
        serviceCollection.TryAddSingleton<WorkItemRunner>();
        serviceCollection.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, WorkflowWorker>());
        return serviceCollection;
    }

    /// <summary>As <see cref="AddDaprWorkflow(IServiceCollection, Action{WorkflowRuntimeOptions}, ServiceLifetime)"/>, going on with a builder.</summary>
    public static DaprWorkflowBuilder AddDaprWorkflowBuilder(this IServiceCollection serviceCollection, Action<WorkflowRuntimeOptions>? configureRuntime = null) =>
        new(AddDaprWorkflow(serviceCollection, configureRuntime ?? (_ => { })));

    internal sealed record RuntimeConfiguration(Action<WorkflowRuntimeOptions> Configure);

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
            Services.Replace(ServiceDescriptor.Singleton(services => new SerializerChoice(serializerFactory(services))));
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
            Services.AddSingleton(new RuntimeConfiguration(options =>
            {
                var channel = options.GrpcChannelOptions ?? new GrpcChannelOptions();
                (channel.MaxReceiveMessageSize, channel.MaxSendMessageSize) = (maxReceiveMessageSize, maxSendMessageSize);
                options.UseGrpcChannelOptions(channel);
            }));
            return this;
        }
    }
}
