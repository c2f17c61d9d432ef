using System.Reflection;
using RenderTrust.Contracts;
using RenderTrust.Ledger.Books;
using RenderTrust.Ledger.Holds;
using RenderTrust.Ledger.Posting;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger;

/// <summary>The whole service, put together. Tests build the same one and replace its neighbours.</summary>
internal static class LedgerApp
{
    public const string Schema = Apps.Ledger;

    public static WebApplication Build(
        string[] args, Action<WebApplicationBuilder>? replace = null, IEnumerable<KeyValuePair<string, string?>>? configuration = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.Configuration.AddInMemoryCollection(configuration ?? []);
        builder.AddServiceDefaults(Apps.Ledger);
        builder.Services.AddValidation();
        builder.Services
            .AddPostgres(builder.Configuration, Schema, Assembly.GetExecutingAssembly())
            .AddOutbox(services => services.GetRequiredService<DaprPublisher>().PublishAsync)
            .AddHolds(builder.Configuration)
            .AddPosting(builder.Configuration)
            .AddBooks(builder.Configuration);
        replace?.Invoke(builder);

        var app = builder.Build();
        app.MapDefaultEndpoints();
        Routes.Map(app);
        return app;
    }
}
