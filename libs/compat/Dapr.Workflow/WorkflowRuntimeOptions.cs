using Dapr.Workflow.Abstractions;
using Dapr.Workflow.Worker;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Dapr.Workflow;

/// <summary>What a worker runs, and how much of it at once. The first registration of a name wins.</summary>
public sealed class WorkflowRuntimeOptions
{
    private readonly Dictionary<string, Func<IServiceProvider, IWorkflow>> workflows = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Func<IServiceProvider, IWorkflowActivity>> activities = new(StringComparer.Ordinal);
    private int maxConcurrentWorkflows = 100;
    private int maxConcurrentActivities = 100;

    /// <summary>Turns of workflows at a time; at least 1, default 100.</summary>
    public int MaxConcurrentWorkflows
    {
        get => maxConcurrentWorkflows;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            maxConcurrentWorkflows = value;
        }
    }

    /// <summary>Activities at a time; at least 1, default 100.</summary>
    public int MaxConcurrentActivities
    {
        get => maxConcurrentActivities;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            maxConcurrentActivities = value;
        }
    }

    /// <summary>The options of the gRPC channel to the sidecar; null: the defaults.</summary>
    public GrpcChannelOptions? GrpcChannelOptions { get; private set; }

    internal IReadOnlyDictionary<string, Func<IServiceProvider, IWorkflow>> Workflows => workflows;

    internal IReadOnlyDictionary<string, Func<IServiceProvider, IWorkflowActivity>> Activities => activities;

    /// <summary>Takes other options for the gRPC channel to the sidecar.</summary>
    public void UseGrpcChannelOptions(GrpcChannelOptions grpcChannelOptions)
    {
        ArgumentNullException.ThrowIfNull(grpcChannelOptions);
        GrpcChannelOptions = grpcChannelOptions;
    }

    /// <summary>Registers a workflow class; each turn makes an instance of it with services of a scope of its own.</summary>
    /// <param name="name">Null: the class's name.</param>
    public void RegisterWorkflow<TWorkflow>(string? name = null)
        where TWorkflow : class, IWorkflow =>
        workflows.TryAdd(NameOf<TWorkflow>(name), services => ActivatorUtilities.CreateInstance<TWorkflow>(services));

    /// <summary>Registers a function as a workflow.</summary>
    public void RegisterWorkflow<TInput, TOutput>(string name, Func<WorkflowContext, TInput, Task<TOutput>> implementation)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(implementation);
        workflows.TryAdd(name, _ => new DelegateWorkflow<TInput, TOutput>(implementation));
    }

    /// <summary>Registers an activity class; each run makes an instance of it with services of a scope of its own.</summary>
    /// <param name="name">Null: the class's name.</param>
    public void RegisterActivity<TActivity>(string? name = null)
        where TActivity : class, IWorkflowActivity =>
        activities.TryAdd(NameOf<TActivity>(name), services => ActivatorUtilities.CreateInstance<TActivity>(services));

    /// <summary>Registers a function as an activity.</summary>
    public void RegisterActivity<TInput, TOutput>(string name, Func<WorkflowActivityContext, TInput, Task<TOutput>> implementation)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(implementation);
        activities.TryAdd(name, _ => new DelegateActivity<TInput, TOutput>(implementation));
    }

    private static string NameOf<T>(string? name) => string.IsNullOrWhiteSpace(name) ? typeof(T).Name : name;
}
