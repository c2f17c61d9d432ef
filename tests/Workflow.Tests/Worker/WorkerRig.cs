using System.Collections.Concurrent;
using Dapr.Workflow;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Workflow.Tests.Worker;

/// <summary>A worker as an app has it, beside a hub of the test's own, under a clock of the test's own.</summary>
internal sealed class WorkerRig : IAsyncDisposable
{
    private readonly IHost host;

    private WorkerRig(FakeHub hub, IHost host, FakeTimeProvider time, Lines lines) => (Hub, this.host, Time, Log) = (hub, host, time, lines);

    public FakeHub Hub { get; }

    public FakeTimeProvider Time { get; }

    public Lines Log { get; }

    public DaprWorkflowClient Client => host.Services.GetRequiredService<DaprWorkflowClient>();

    public static async Task<WorkerRig> StartAsync(Action<WorkflowRuntimeOptions> configure, Action<IServiceCollection>? services = null, bool untilConnected = true)
    {
        var (hub, time, lines) = (await FakeHub.StartAsync(), new FakeTimeProvider(), new Lines());
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["DAPR_GRPC_PORT"] = $"{hub.Port}", ["DAPR_API_TOKEN"] = "secret" });
        builder.Logging.SetMinimumLevel(LogLevel.Debug).AddProvider(lines);
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddDaprWorkflow(configure);
        services?.Invoke(builder.Services);
        var rig = new WorkerRig(hub, builder.Build(), time, lines);
        await rig.host.StartAsync();
        if (untilConnected)
        {
            await Wait.UntilAsync("the worker has opened its stream", () => hub.Streams == 1, () => string.Join('\n', lines.Written));
        }

        return rig;
    }

    public static WorkItem Activity(string name, string? input = null, int taskId = 0, string token = "") => new()
    {
        CompletionToken = token,
        ActivityRequest = new ActivityRequest { Name = name, Input = input, TaskId = taskId, TaskExecutionId = $"key-{taskId}", WorkflowInstance = new() { InstanceId = "i" } },
    };

    public static WorkItem Turn(params HistoryEvent[] fresh) => new()
    {
        CompletionToken = "turn-token",
        WorkflowRequest = new WorkflowRequest { InstanceId = "i", NewEvents = { fresh } },
    };

    public Task StopAsync() => host.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        Hub.EndStream();
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await host.StopAsync(soon.Token);
        host.Dispose();
        await Hub.DisposeAsync();
    }

    internal sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Written { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Enqueue($"{logLevel}: {formatter(state, exception)}");

        public void Dispose()
        {
        }
    }
}
