using System.Text.Json;
using Dapr;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>What every service of the platform shares: listener, logs, problem details, health, authorisation and the way to its sidecar.</summary>
public static class ServiceDefaultsExtensions
{
    /// <summary>A service body is JSON; the largest is a submission with thousands of grants. Blob bytes never come this way.</summary>
    private const long MaxRequestBodyBytes = 8 * 1024 * 1024;

    /// <summary>
    /// Call first. Needs APP_PORT, APP_API_TOKEN and DAPR_HTTP_PORT, as the sidecar gives them; RENDERTRUST_ENVIRONMENT=Development is the only development switch.
    /// A service that checks attributes of its requests calls <c>builder.Services.AddValidation()</c> itself: its generator works per assembly.
    /// </summary>
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string appId)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var app = ServiceApp.Read(appId, builder.Configuration);
        Failpoint.Enable(app.IsDevelopment, builder.Configuration[Failpoint.FolderVariable]);
        SetEnvironment(builder, app.IsDevelopment ? Environments.Development : Environments.Production);
        builder.Services.AddSingleton(app);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxRequestBodyBytes;
            if (!string.IsNullOrEmpty(builder.Configuration["APP_PORT"]))
            {
                // Without TLS: the sidecar speaks HTTP/1.1, and only loopback listens.
                kestrel.Listen(System.Net.IPAddress.Loopback, app.AppPort, listen => listen.Protocols = HttpProtocols.Http1);
            }

            if (app.HealthPort != 0)
            {
                kestrel.ListenAnyIP(app.HealthPort, listen => listen.Protocols = HttpProtocols.Http1);
            }
        });

        AddLogs(builder);
        AddProblems(builder.Services);
        AddSidecar(builder);
        AddAuth(builder);
        builder.AddTelemetry(app);
        builder.Services.AddHealthChecks();
        return builder;
    }

    /// <summary>
    /// Call before the service's own routes: error pages, authentication, authorisation, CloudEvents, <c>/healthz</c>, <c>/dapr/subscribe</c>
    /// and the wake-up by topic <c>revocations</c>. A service must not call UseCloudEvents or MapSubscribeHandler again.
    /// </summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseMetrics();
        UseHealthPort(app);
        app.UseJobTraces();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        // The envelope's id is the key of the consumer's inbox; it arrives as header Cloudevent.id.
        // Only where the sidecar delivers: it comes before sign-in and fails on what is no envelope, so no caller from outside may reach it.
        app.UseWhen(
            http => http.Request.Path.StartsWithSegments("/internal", StringComparison.OrdinalIgnoreCase),
            topics => topics.UseCloudEvents(new CloudEventsMiddlewareOptions { ForwardCloudEventPropertiesAsHeaders = true }));
        app.UseRouting();
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapHealthChecks("/healthz", new HealthCheckOptions()).AllowAnonymous();
        app.MapSubscribeHandler().RequireSidecar();
        app.MapPost("/internal/on/revocations", (Revocations revocations) =>
        {
            revocations.Wake();
            return Results.NoContent();
        }).WithTopic(Topics.Broadcast, Topics.Revocations).RequireSidecar();
        return app;
    }

    /// <summary>The health port is open to the whole network: there is nothing behind it but health, and metrics for who has their token.</summary>
    private static void UseHealthPort(WebApplication app)
    {
        var healthPort = app.Services.GetRequiredService<ServiceApp>().HealthPort;
        if (healthPort == 0)
        {
            return;
        }

        app.Use(async (http, next) =>
        {
            if (http.Connection.LocalPort == healthPort && !http.Request.Path.Equals("/healthz", StringComparison.OrdinalIgnoreCase))
            {
                http.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            await next();
        });
    }

    /// <summary>The host and the web host each hold an environment; both follow our one switch, whatever ASPNETCORE_ENVIRONMENT says.</summary>
    private static void SetEnvironment(WebApplicationBuilder builder, string name)
    {
        builder.Environment.EnvironmentName = name;
        foreach (var environment in builder.Services.Select(descriptor => descriptor.IsKeyedService ? null : descriptor.ImplementationInstance).OfType<IHostEnvironment>())
        {
            environment.EnvironmentName = name;
        }
    }

    private static void AddLogs(WebApplicationBuilder builder)
    {
        builder.Logging.ClearProviders();
        builder.Logging.AddConsoleFormatter<JobLineFormatter, ConsoleFormatterOptions>();
        builder.Logging.AddConsole(console => console.FormatterName = JobLineFormatter.FormatterName);
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        builder.Logging.AddFilter("System.Net.Http", LogLevel.Warning);
        builder.Logging.AddFilter("Npgsql", LogLevel.Warning);
        // A refused token is the caller's news, in the answer; the framework would log each one twice.
        builder.Logging.AddFilter(typeof(BearerTokenHandler).FullName, LogLevel.Warning);
        // Every fault is logged once, with its path, by our own handler.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Diagnostics.ExceptionHandlerMiddleware", LogLevel.None);
    }

    private static void AddProblems(IServiceCollection services)
    {
        services.AddProblemDetails();
        services.AddExceptionHandler<ProblemExceptionHandler>();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(json =>
        {
            ApplyWireJson(json.SerializerOptions);
            json.SerializerOptions.Converters.Add(new StorableText());
        });
    }

    internal static void ApplyWireJson(JsonSerializerOptions options)
    {
        var wire = WireJson.Options;
        options.PropertyNamingPolicy = wire.PropertyNamingPolicy;
        options.PropertyNameCaseInsensitive = wire.PropertyNameCaseInsensitive;
        options.NumberHandling = wire.NumberHandling;
        options.UnmappedMemberHandling = wire.UnmappedMemberHandling;
        options.DefaultIgnoreCondition = wire.DefaultIgnoreCondition;
        options.RespectRequiredConstructorParameters = wire.RespectRequiredConstructorParameters;
        options.RespectNullableAnnotations = wire.RespectNullableAnnotations;
        options.TypeInfoResolver = wire.TypeInfoResolver;
        foreach (var converter in wire.Converters)
        {
            options.Converters.Add(converter);
        }
    }

    private static void AddSidecar(WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<SidecarOptions>()
            .Bind(builder.Configuration.GetSection(SidecarOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddSingleton<SidecarHttp>();
        builder.Services.AddSingleton<AppInvoker>();
        builder.Services.AddSingleton<DaprPublisher>();
        builder.Services.AddDaprClient();
    }

    private static void AddAuth(WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<TrustOptions>()
            .Bind(builder.Configuration.GetSection(TrustOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        services.TryAddSingleton<IIdentityFacts, RemoteIdentityFacts>();
        services.AddSingleton<SigningKeys>();
        services.AddSingleton<Revocations>();
        services.AddHostedService<PollRevocationsLoop>();
        services.AddSingleton(provider => new AccessTokens(
            provider.GetRequiredService<SigningKeys>(), provider.GetRequiredService<Revocations>(), provider.GetRequiredService<TimeProvider>()));
        services.AddAuthentication(AuthSchemes.Bearer)
            .AddScheme<AuthenticationSchemeOptions, BearerTokenHandler>(AuthSchemes.Bearer, configureOptions: null);
        services.AddSingleton<IAuthorizationHandler, UserRequirementHandler>();
        services.AddSingleton<IAuthorizationHandler, InternalRequirementHandler>();
        services.AddSingleton<IAuthorizationMiddlewareResultHandler, ProblemAuthorizationResultHandler>();
        services.AddAuthorizationBuilder()
            .AddPolicy(Policies.User, policy => policy.AddRequirements(new UserRequirement()))
            .AddPolicy(Policies.Internal, policy => policy.AddRequirements(new InternalRequirement()))
            // A route that forgot its policy is closed, not open.
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().AddRequirements(new InternalRequirement()).Build());
    }
}
