using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;
using RenderTrust.TestKit;

namespace RenderTrust.Catalog.Tests;

/// <summary>The real service on a free port with a fresh database; identity's facts are held in memory.</summary>
public sealed class CatalogHost : TestDatabase
{
    public const string ApiToken = "sidecar-secret";

    private readonly FakeIdentity identity = new();
    private readonly List<WebApplication> apps = [];

    public HttpClient Http { get; private set; } = null!;

    internal IServiceProvider Services => apps[0].Services;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Http = await StartAsync();
    }

    public async Task<HttpClient> StartAsync(Dictionary<string, string?>? settings = null)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["APP_PORT"] = "0", ["APP_API_TOKEN"] = ApiToken, ["DAPR_HTTP_PORT"] = "1", ["ConnectionStrings:Postgres"] = ConnectionStringFor("catalog"),
            ["Logging:LogLevel:Default"] = "None",
        });
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        builder.Services.AddSingleton<IIdentityFacts>(identity);
        var app = CatalogService.Build(builder);
        await app.StartAsync();
        apps.Add(app);
        return new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, TenantId? tenant, object? body = null, string scopes = "modules", HttpClient? at = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (tenant is { } id)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", identity.Token(id, scopes));
        }

        if (body is not null)
        {
            request.Content = body is string text
                ? new StringContent(text, Encoding.UTF8, "application/json")
                : JsonContent.Create(body, body.GetType(), options: WireJson.Options);
        }

        return await (at ?? Http).SendAsync(request);
    }

    public Task<HttpResponseMessage> PublishAsync(TenantId tenant, object body, HttpClient? at = null) => SendAsync(HttpMethod.Post, "/v1/modules", tenant, body, at: at);

    public async Task<HttpResponseMessage> InternalAsync(string path, string? apiToken = ApiToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (apiToken is not null)
        {
            request.Headers.Add("dapr-api-token", apiToken);
        }

        request.Headers.Add("dapr-caller-app-id", "scheduler");
        return await Http.SendAsync(request);
    }

    public async Task<long> CountAsync(string sql)
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(ConnectionStringFor("catalog"));
        await using var command = source.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync());
    }

    public static async Task<T> ReadAsync<T>(HttpResponseMessage response, HttpStatusCode expected = HttpStatusCode.OK)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"Expected {expected}, got {response.StatusCode}: {text}");
        return JsonSerializer.Deserialize<T>(text, WireJson.Options)!;
    }

    public static async Task<JsonElement> ProblemAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        var problem = await ReadAsync<JsonElement>(response, expected);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return problem;
    }

    /// <summary>A publication as a developer writes it; change it by the callback.</summary>
    public static PublishModuleRequest Module(string name, string version = "1.0.0", long rate = 40_000, DeviceKind kind = DeviceKind.Cpu, string? schema = null) => new(
        name, version, "POV-Ray", "Renders frames.", rate,
        new ModuleRuntime("127.0.0.1:5000/rendertrust/povray", "sha256:" + new string('a', 64), kind, 1024, 256, 64, 64, 1),
        null, JsonElement.Parse(schema ?? """{"type":"object","properties":{"quality":{"type":"integer","minimum":0}},"required":["quality"]}"""), null, ["render"]);

    public override async ValueTask DisposeAsync()
    {
        foreach (var app in apps)
        {
            await app.DisposeAsync();
        }

        identity.Dispose();
        await base.DisposeAsync();
    }

    private sealed class FakeIdentity : IIdentityFacts, IDisposable
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
}
