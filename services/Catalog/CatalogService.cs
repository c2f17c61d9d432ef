using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Catalog;

/// <summary>Puts the service together; the tests start it the same way.</summary>
internal static class CatalogService
{
    public static WebApplication Build(WebApplicationBuilder builder)
    {
        builder.AddServiceDefaults(Apps.Catalog);
        builder.Services.AddValidation();
        builder.Services.AddOptions<ModuleOptions>()
            .Bind(builder.Configuration.GetSection(ModuleOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddPostgres(builder.Configuration, Apps.Catalog, typeof(CatalogService).Assembly);
        builder.Services.AddOutbox(services => services.GetRequiredService<DaprPublisher>().PublishAsync);

        var app = builder.Build();
        app.MapDefaultEndpoints();
        app.MapCatalog();
        return app;
    }
}
