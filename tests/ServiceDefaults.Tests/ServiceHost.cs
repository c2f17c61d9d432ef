using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults.Tests;

public sealed record Thing(JobId JobId, DeviceKind Kind, string Name, string? Note);

/// <summary>A small service on a real Kestrel.</summary>
internal sealed class ServiceHost : IAsyncDisposable
{
    private readonly WebApplication app;

    private ServiceHost(WebApplication app, FakeIdentity identity)
    {
        this.app = app;
        Identity = identity;
        Http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    public FakeIdentity Identity { get; }

    public HttpClient Http { get; }

    public IServiceProvider Services => app.Services;

    public static async Task<ServiceHost> StartAsync(Dictionary<string, string?>? settings = null)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["APP_PORT"] = "0", ["APP_API_TOKEN"] = "secret", ["DAPR_HTTP_PORT"] = "1", ["RENDERTRUST_ENVIRONMENT"] = "Production",
            ["Trust:RevocationPollSeconds"] = "0.1",
        });
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        var identity = new FakeIdentity();
        builder.Services.AddSingleton<IIdentityFacts>(identity);
        builder.AddServiceDefaults("ledger");
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.MapDefaultEndpoints();
        app.MapGet("/v1/whoami", (HttpContext http) => http.User.TenantId()).RequireUser();
        app.MapGet("/v1/credits", () => "ok").RequireScope(Scopes.Credits);
        app.MapGet("/v1/modules", () => "ok").RequireScope(Scopes.Modules);
        app.MapPost("/v1/things", (Thing thing) => thing).RequireUser();
        app.MapGet("/v1/jobs/{jobId}", (JobId jobId) => jobId).RequireUser();
        app.MapGet("/v1/fault", string () => throw new InvalidOperationException("secret detail")).RequireUser();
        app.MapGet("/v1/unknown-outcome", string () => throw new UnknownOutcomeException("x")).RequireUser();
        app.MapGet("/internal/books", () => "ok").RequireInternal();
        app.MapGet("/internal/holds", () => "ok").RequireInternal(Apps.Scheduler);
        app.MapGet("/internal/forgotten", () => "ok");
        app.MapGet("/internal/topic", () => "ok").RequireSidecar();
        await app.StartAsync();
        return new ServiceHost(app, identity);
    }

    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? bearer = null, string? apiToken = null, string? caller = null, string? json = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (bearer is not null)
        {
            request.Headers.Authorization = new("Bearer", bearer);
        }

        if (apiToken is not null)
        {
            request.Headers.Add("dapr-api-token", apiToken);
        }

        if (caller is not null)
        {
            request.Headers.Add("dapr-caller-app-id", caller);
        }

        if (json is not null)
        {
            request.Content = new StringContent(json, System.Text.Encoding.UTF8, "application/json");
            request.Headers.ExpectContinue = json.Length > 1_000_000;
        }

        return await Http.SendAsync(request);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await app.DisposeAsync();
        Identity.Dispose();
    }
}
