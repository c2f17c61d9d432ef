using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger.Tests;

/// <summary>The service as it runs, on a free port, with identity and the broker played by this class.</summary>
internal sealed class LedgerHost : IAsyncDisposable, IIdentityFacts
{
    public const string ApiToken = "the-apps-own-token";

    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly WebApplication app;

    public LedgerHost(LedgerDatabase database, bool development = true)
    {
        app = LedgerApp.Build([], builder =>
        {
            builder.Services.AddSingleton<IIdentityFacts>(this);
            builder.Services.AddSingleton<OutboxPublish>((_, topic, _, payload, _) =>
            {
                lock (Published)
                {
                    Published.Add((topic, payload));
                }

                return Task.CompletedTask;
            });
        }, new Dictionary<string, string?>
        {
            ["ConnectionStrings:Postgres"] = database.ConnectionStringFor("ledger"),
            ["RENDERTRUST_ENVIRONMENT"] = development ? "Development" : "Production",
            ["APP_PORT"] = "0",
            ["APP_API_TOKEN"] = ApiToken,
            ["Ledger:Posting:PollMilliseconds"] = "20",
        });
    }

    public List<(string Topic, string Payload)> Published { get; } = [];

    public WebApplication App => app;

    private Uri Address => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    public static async Task<LedgerHost> StartAsync(LedgerDatabase database, bool development = true)
    {
        var host = new LedgerHost(database, development);
        await host.app.StartAsync();
        return host;
    }

    public HttpClient Anonymous() => new() { BaseAddress = Address };

    public HttpClient User(Guid tenant, params string[] scopes)
    {
        var client = Anonymous();
        var now = DateTimeOffset.UtcNow;
        var token = AccessTokens.Create(
            new ECDsaSecurityKey(key) { KeyId = "test" },
            new AccessTokenContent(Guid.CreateVersion7(), "device", new TenantId(tenant), scopes.Length == 0 ? [Scopes.Credits] : scopes, null, now.AddSeconds(-5), now.AddMinutes(5)));
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    public HttpClient AppCalling(string appId, string token = ApiToken)
    {
        var client = Anonymous();
        client.DefaultRequestHeaders.Add("dapr-api-token", token);
        client.DefaultRequestHeaders.Add("dapr-caller-app-id", appId);
        return client;
    }

    public Task<string> GetSigningKeysAsync(CancellationToken cancellationToken)
    {
        var jwk = EcKeys.ToJwk(key);
        return Task.FromResult(JsonSerializer.Serialize(new { keys = new[] { new { kty = jwk.Kty, crv = jwk.Crv, x = jwk.X, y = jwk.Y, kid = "test", alg = "ES256", use = "sig" } } }));
    }

    public Task<RevocationList> GetRevocationsAsync(CancellationToken cancellationToken) => Task.FromResult(new RevocationList(1, [], [], []));

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
        key.Dispose();
    }
}
