using Dapr;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>A version was published: every replica asks the catalog again, so that card and answers show it at once and not when the list has aged.</summary>
internal static class OnModulePublished
{
    public static void Map(IEndpointRouteBuilder endpoints) =>
        endpoints.MapPost("/internal/on/module-events", Handle).WithTopic(Topics.Broadcast, Topics.ModuleEvents).RequireSidecar();

    private static IResult Handle(ModuleCache modules)
    {
        modules.Refresh();
        return Results.NoContent();
    }
}
