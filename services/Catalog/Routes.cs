using RenderTrust.ServiceDefaults;

namespace RenderTrust.Catalog;

/// <summary>The route table: path, policy, slice. The endpoint test reads the same table.</summary>
internal static class Routes
{
    public static void MapCatalog(this WebApplication app)
    {
        var user = app.MapGroup("/v1/modules");
        user.MapPost("", PublishModule.HandleAsync).RequireScope(Scopes.Modules);
        user.MapGet("", ReadModules.ListAsync).RequireUser();
        user.MapGet("/{name}", ReadModules.GetNewestAsync).RequireUser();
        user.MapGet("/{name}/{version}", ReadModules.GetAsync).RequireUser();

        var platform = app.MapGroup("/internal/modules");
        platform.MapGet("", ReadModules.ListAsync).RequireInternal();
        platform.MapGet("/{name}/{version}", ReadModules.GetAsync).RequireInternal();
    }
}
