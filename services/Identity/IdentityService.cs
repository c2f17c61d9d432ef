using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Puts the service together; the tests start it the same way.</summary>
internal static class IdentityService
{
    public static WebApplication Build(WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<IIdentityFacts, LocalIdentityFacts>();
        builder.AddServiceDefaults(Apps.Identity);
        builder.Services.AddValidation();
        builder.Services.AddOptions<IdentityOptions>()
            .Bind(builder.Configuration.GetSection(IdentityOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddSingleton<PlatformKeys>();
        builder.Services.AddSingleton<CertificateAuthority>();
        builder.Services.AddSingleton<KeyStatements>();
        builder.Services.AddSingleton<RevocationLog>();
        builder.Services.AddHostedService<OpenPlatformKeys>();
        builder.Services.AddHostedService<SweepExpiredLoop>();
        builder.Services.AddPostgres(builder.Configuration, Apps.Identity, typeof(IdentityService).Assembly);
        builder.Services.AddOutbox(services => services.GetRequiredService<DaprPublisher>().PublishAsync);

        var app = builder.Build();
        app.MapDefaultEndpoints();
        app.MapIdentity();
        return app;
    }
}
