using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.ServiceDefaults;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>The blob slice on a real Kestrel and a real Postgres; tokens are real too, signed by a key that the test holds.</summary>
internal sealed class BlobHost : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly TestIdentity identity;

    private BlobHost(WebApplication app, TestIdentity identity)
    {
        this.app = app;
        this.identity = identity;
        Address = new Uri(app.Urls.First());
    }

    public Uri Address { get; }

    public IServiceProvider Services => app.Services;

    public static async Task<BlobHost> StartAsync(TestDatabase database, string folder, Dictionary<string, string?>? settings = null)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["APP_PORT"] = "0", ["APP_API_TOKEN"] = "secret", ["DAPR_HTTP_PORT"] = "1",
            ["ConnectionStrings:Postgres"] = database.ConnectionStringFor("gateway"),
            ["Gateway:Blobs:Directory"] = folder,
        });
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        var identity = new TestIdentity();
        builder.Services.AddSingleton<IIdentityFacts>(identity);
        builder.AddServiceDefaults(Apps.Gateway);
        builder.AddBlobs();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.MapDefaultEndpoints();
        app.MapBlobs();
        await app.StartAsync();
        return new BlobHost(app, identity);
    }

    public string TokenFor(TenantId tenant, string scopes = "jobs") => identity.Token(tenant, scopes);

    public HttpClient ClientFor(TenantId tenant, string scopes = "jobs")
    {
        var client = new HttpClient { BaseAddress = Address };
        client.DefaultRequestHeaders.Authorization = new("Bearer", TokenFor(tenant, scopes));
        client.DefaultRequestHeaders.Add("Tus-Resumable", "1.0.0");
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        identity.Dispose();
    }
}

/// <summary>Identity's facts with a key of the test's own.</summary>
internal sealed class TestIdentity : IIdentityFacts, IDisposable
{
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public string Token(TenantId tenant, string scopes) => AccessTokens.Create(
        new ECDsaSecurityKey(key) { KeyId = "k1" },
        new AccessTokenContent(Guid.CreateVersion7(), "device", tenant, scopes.Split(' '), null, DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddHours(1)));

    public Task<string> GetSigningKeysAsync(CancellationToken cancellationToken)
    {
        var jwk = EcKeys.ToJwk(key);
        return Task.FromResult($$"""{"keys":[{"kty":"EC","crv":"P-256","x":"{{jwk.X}}","y":"{{jwk.Y}}","kid":"k1","use":"sig","alg":"ES256"}]}""");
    }

    public Task<RevocationList> GetRevocationsAsync(CancellationToken cancellationToken) => Task.FromResult(new RevocationList(1, [], [], []));

    public void Dispose() => key.Dispose();
}
