using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Tests.Hosting;

/// <summary>
/// Stands where the sidecar would: a real HTTP server that answers for the state store and for identity, catalog, scheduler and ledger.
/// Each answer is what the contract says; tests change the world behind it.
/// </summary>
internal sealed class FakeSidecar : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, bool> _state = new();

    private FakeSidecar(WebApplication app) => _app = app;

    public int Port { get; private set; }

    public ECDsaSecurityKey SigningKey { get; } = new(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "test-key" };

    public FakeScheduler Scheduler { get; } = new();

    public ConcurrentDictionary<string, string> ApiKeyTokens { get; } = new();

    /// <summary>By the secret of the cookie.</summary>
    public ConcurrentDictionary<string, BrowserSession> Sessions { get; } = new();

    /// <summary>What identity answers to the next code.</summary>
    public RedeemSignInResponse Redemption { get; set; } = new(RedeemOutcome.UnknownCode);

    public ConcurrentQueue<RedeemSignInRequest> Redemptions { get; } = new();

    public ConcurrentBag<Guid> RevokedDevices { get; } = [];

    public List<ModuleVersion> Modules { get; } = [TestData.Module()];

    public ConcurrentDictionary<string, bool> Unreachable { get; } = new();

    public ConcurrentQueue<Forwarded> Forwards { get; } = new();

    public bool IsStateStoreDown { get; set; }

    public int Introspections { get; private set; }

    public static async Task<FakeSidecar> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = 64 * 1024 * 1024);
        var app = builder.Build();
        var sidecar = new FakeSidecar(app);
        app.MapPost("/v1.0/state/{store}", sidecar.SaveAsync);
        app.Map("/v1.0/invoke/{app}/method/{**path}", sidecar.InvokeAsync);
        await app.StartAsync();
        sidecar.Port = new Uri(app.Urls.First()).Port;
        return sidecar;
    }

    public async ValueTask DisposeAsync()
    {
        Scheduler.Stop();
        await _app.DisposeAsync();
    }

    private async Task<IResult> SaveAsync(string store, HttpRequest request)
    {
        if (IsStateStoreDown)
        {
            return Results.Json(new { errorCode = "ERR_STATE_SAVE", message = "connection refused" }, statusCode: 500);
        }

        using var items = await JsonDocument.ParseAsync(request.Body);
        var item = items.RootElement[0];
        Assert.Equal("cache", store);
        Assert.Equal("first-write", item.GetProperty("options").GetProperty("concurrency").GetString());
        Assert.True(int.Parse(item.GetProperty("metadata").GetProperty("ttlInSeconds").GetString()!, System.Globalization.CultureInfo.InvariantCulture) >= 180);
        return _state.TryAdd(item.GetProperty("key").GetString()!, true) ? Results.NoContent() : Results.Json(new { errorCode = "ERR_STATE_SAVE" }, statusCode: 409);
    }

    /// <summary>The W3C headers of each call, by its path.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<(string Path, string? TraceParent, string? TraceState)> Traces { get; } = new();

    private async Task<IResult> InvokeAsync(string app, string? path, HttpContext http)
    {
        Traces.Enqueue(($"{app}/{path}", http.Request.Headers["traceparent"], http.Request.Headers["tracestate"]));
        if (Unreachable.ContainsKey(app))
        {
            return Results.Json(new { errorCode = "ERR_DIRECT_INVOKE", message = $"failed to invoke, id: {app}" }, statusCode: 500);
        }

        if (path?.StartsWith("internal/", StringComparison.Ordinal) != true)
        {
            return await ForwardAsync(app, path ?? "", http);
        }

        return (app, http.Request.Method, path.Split('/')) switch
        {
            (Apps.Identity, "GET", [_, "jwks"]) => Results.Text(Jwks(), "application/json"),
            (Apps.Identity, "GET", [_, "revocations"]) => Json(new RevocationList(RevokedDevices.Count, [.. RevokedDevices], [], [])),
            (Apps.Identity, "POST", [_, "api-keys", "introspections"]) => Json(Introspect((await http.Request.ReadFromJsonAsync<IntrospectApiKeyRequest>(WireJson.Options))!)),
            (Apps.Identity, "POST", [_, "sign-ins", "redemptions"]) => Redeem((await http.Request.ReadFromJsonAsync<RedeemSignInRequest>(WireJson.Options))!),
            (Apps.Identity, "POST", [_, "sessions", "introspections"]) => Json(Introspect((await http.Request.ReadFromJsonAsync<IntrospectSessionRequest>(WireJson.Options))!)),
            (Apps.Identity, "POST", [_, "sessions", var id, "end"]) => End(Guid.Parse(id)),
            (Apps.Identity, "GET", [_, "sessions", _, "key"]) => Json(new HandedOverKey(Guid.Empty, [1, 2, 3], true)),
            (Apps.Catalog, "GET", [_, "modules"]) => Json(new ModuleList(Modules)),
            (Apps.Catalog, "GET", [_, "modules", var name, var version]) => Modules.Find(m => m.Name == name && m.Version == version) is { } module ? Json(module) : Results.Problem(statusCode: 404),
            (Apps.Scheduler, _, _) => await Scheduler.AnswerAsync(http, path),
            _ => Results.Problem(statusCode: 404),
        };
    }

    private async Task<IResult> ForwardAsync(string app, string path, HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        Forwards.Enqueue(new Forwarded(
            app, http.Request.Method, "/" + path + http.Request.QueryString, http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase), await reader.ReadToEndAsync()));
        return path switch
        {
            "v1/credits/refused" => Results.Problem("No credits.", statusCode: 422),
            "v1/identity/token" => Results.Json(new { error = "invalid_grant" }, statusCode: 400),
            _ => Results.Json(new { app, path }),
        };
    }

    private IntrospectApiKeyResponse Introspect(IntrospectApiKeyRequest request)
    {
        Introspections++;
        return ApiKeyTokens.TryGetValue(request.ApiKey, out var token) ? new IntrospectApiKeyResponse(true, token, 600) : new IntrospectApiKeyResponse(false, null, 0);
    }

    /// <summary>A browser that is signed in as a tenant; the answer is its cookie's secret.</summary>
    public string SignIn(TenantId tenant)
    {
        var secret = $"rts_{Guid.NewGuid():N}{Guid.NewGuid():N}"[..47];
        Sessions[secret] = new BrowserSession(Guid.CreateVersion7(), tenant, "Ada", "key-id", DateTimeOffset.UtcNow.AddHours(1));
        return secret;
    }

    private IResult Redeem(RedeemSignInRequest request)
    {
        Redemptions.Enqueue(request);
        return Json(Redemption);
    }

    private IntrospectSessionResponse Introspect(IntrospectSessionRequest request) => Sessions.TryGetValue(request.Session, out var session)
        ? new IntrospectSessionResponse(
            true,
            AccessTokens.Create(SigningKey, new AccessTokenContent(session.SessionId, "session", session.TenantId, [Scopes.Jobs, Scopes.Credits, Scopes.Nodes], null, DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddMinutes(5))),
            session)
        : new IntrospectSessionResponse(false);

    private IResult End(Guid sessionId)
    {
        foreach (var (secret, _) in Sessions.Where(session => session.Value.SessionId == sessionId))
        {
            Sessions.TryRemove(secret, out _);
        }

        return Results.NoContent();
    }

    private string Jwks()
    {
        var point = SigningKey.ECDsa.ExportParameters(false).Q;
        return JsonSerializer.Serialize(new
        {
            keys = new[] { new { kty = "EC", crv = "P-256", use = "sig", alg = "ES256", kid = SigningKey.KeyId, x = Base64UrlEncoder.Encode(point.X), y = Base64UrlEncoder.Encode(point.Y) } },
        });
    }

    internal static IResult Json<T>(T value) => Results.Text(JsonSerializer.Serialize(value, WireJson.Options), "application/json");
}

/// <summary>A REST request as it reached a service.</summary>
internal sealed record Forwarded(string App, string Method, string PathAndQuery, IReadOnlyDictionary<string, string> Headers, string Body);
