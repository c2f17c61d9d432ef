using Dapr.Workflow;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Workflows;

/// <summary>A worker with three workflows: one that ends, one that waits for an event, one that fails.</summary>
public sealed class WorkflowWorker(World world) : IAsyncLifetime
{
    private IHost? host;

    public async ValueTask InitializeAsync()
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["DAPR_HTTP_ENDPOINT"] = world.Main.Http, ["DAPR_GRPC_ENDPOINT"] = world.Main.Grpc });
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddDaprWorkflow(options =>
        {
            options.RegisterWorkflow<string, string>("Double", async (context, text) => await context.CallActivityAsync<string>("Twice", text));
            options.RegisterWorkflow<string, string>("Wait", async (context, _) =>
            {
                context.SetCustomStatus("waiting");
                return await context.WaitForExternalEventAsync<string>("go");
            });
            options.RegisterWorkflow<string, string>("Fail", (_, _) => throw new InvalidOperationException("on purpose"));
            options.RegisterActivity<string, string>("Twice", (_, text) => Task.FromResult(text + text));
        });
        host = builder.Build();
        await host.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await host!.StopAsync(soon.Token);
        host.Dispose();
    }
}
