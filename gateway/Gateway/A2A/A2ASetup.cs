using Microsoft.Extensions.Options;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

internal static class A2ASetup
{
    public static void AddA2A(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<A2AGatewayOptions>().BindConfiguration(A2AGatewayOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddA2AServer();
        builder.Services.Configure<A2AServerOptions>(options =>
        {
            options.SupportedExtensions.Add(WellKnown.SealingExtension);
            options.ExplainFault = NeighbourFaults.Explain;
        });
        builder.Services.AddSingleton<JobEventHub>().AddSingleton<TailJobEventsLoop>().AddSingleton<EndedTasks>().AddSingleton<TaskFollower>().AddSingleton<ModuleCache>().AddSingleton<PublicParameters>()
            .AddSingleton<Timings>().AddSingleton<JobTraces>().AddSingleton<SubmitJob>().AddSingleton<IA2AAgent, JobAgent>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<TailJobEventsLoop>());
        builder.Services.AddHostedService<FlushTimingsLoop>();
        builder.Services.AddHostedService<WarmUp>();
    }

    public static void MapA2A(this IEndpointRouteBuilder endpoints)
    {
        OnModulePublished.Map(endpoints);
        endpoints.MapA2AJsonRpc("/a2a").RequireScope(Scopes.Jobs);
        endpoints.MapA2AAgentCard(
            async (http, cancellationToken) => Descriptions.Card(
                http.RequestServices.GetRequiredService<IOptions<GatewayOptions>>().Value.PublicUrl.TrimEnd('/'),
                await http.RequestServices.GetRequiredService<ModuleCache>().ListAsync(cancellationToken)),
            TimeSpan.FromSeconds(endpoints.ServiceProvider.GetRequiredService<IOptions<A2AGatewayOptions>>().Value.CatalogCacheSeconds)).AllowAnonymous();
    }
}
