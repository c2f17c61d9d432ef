using Dapr.Workflow;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>An app with a workflow worker and client, written as a user writes it.</summary>
internal sealed class App : IAsyncDisposable
{
    private readonly IHost host;

    private App(IHost host) => this.host = host;

    public DaprWorkflowClient Client => host.Services.GetRequiredService<DaprWorkflowClient>();

    public static async Task<App> StartAsync(int grpcPort, string apiToken, Action<WorkflowRuntimeOptions> configure, Action<IServiceCollection>? services = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["DAPR_GRPC_PORT"] = $"{grpcPort}", ["DAPR_API_TOKEN"] = apiToken });
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddDaprWorkflow(configure);
        services?.Invoke(builder.Services);
        var app = new App(builder.Build());
        await app.host.StartAsync();
        return app;
    }

    /// <summary>Stops as a crash does: what is under way is not waited for.</summary>
    public async Task CrashAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await host.StopAsync(now.Token);
    }

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await host.StopAsync(soon.Token);
        host.Dispose();
    }
}
