using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

using TypedHttp = Microsoft.AspNetCore.Http.Results;

namespace RenderTrust.Scheduler.Tests;

/// <summary>
/// What the scheduler's sidecar would reach, at the HTTP boundary: identity's keys, the catalog, hubs, the broker; and the way back to the
/// scheduler's own actors, in turns per actor. Everything that arrives is kept for the tests to look at.
/// </summary>
internal sealed class FakeNeighbours : IAsyncDisposable
{
    public const string ApiToken = "secret";
    private readonly ECDsa identityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ConcurrentDictionary<string, SemaphoreSlim> turns = new();
    private readonly HttpClient toApp = new();
    private readonly WebApplication app;

    private FakeNeighbours(WebApplication app) => this.app = app;

    public Uri? Scheduler { get; set; }

    public string Address => app.Urls.First();

    public ConcurrentDictionary<string, ModuleVersion> Modules { get; } = new();

    public ConcurrentQueue<LeaseOffer> Offers { get; } = new();

    /// <summary>The W3C headers that offers came with.</summary>
    public ConcurrentQueue<(string? TraceParent, string? TraceState)> OfferHeaders { get; } = new();

    public ConcurrentQueue<LeaseRevocation> Revocations { get; } = new();

    public ConcurrentQueue<(string Component, string Topic, string Body)> Published { get; } = new();

    /// <summary>Keys of the overflow pool in the order in which identity was told; withdrawn ones with a minus before them.</summary>
    public ConcurrentQueue<string> Pools { get; } = new();

    /// <summary>What identity gives out to overflow agents; null = identity fails.</summary>
    public Func<string?> OnOverflowToken { get; set; } = () => "rtn_token";

    public int ActorCalls => actorCalls;

    public bool ActorsAway { get; set; }

    /// <summary>How the hub answers an offer.</summary>
    public Func<LeaseOffer, Task<LeaseOfferResponse>> OnOffer { get; set; } = Acknowledge;

    /// <summary>How it answers those of one job.</summary>
    public ConcurrentDictionary<JobId, Func<LeaseOffer, Task<LeaseOfferResponse>>> OnOfferOf { get; } = new();

    /// <summary>Null = the hub fails with 500.</summary>
    public Func<LeaseRevocation, LeaseRevocationResponse?> OnRevocation { get; set; } = _ => new LeaseRevocationResponse(true);

    private int actorCalls;

    public static Task<LeaseOfferResponse> Acknowledge(LeaseOffer offer) => Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));

    public static async Task<FakeNeighbours> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var fake = new FakeNeighbours(app);
        app.MapGet("/v1.0/invoke/identity/method/internal/jwks", fake.Jwks);
        app.MapGet("/v1.0/invoke/identity/method/internal/revocations", () => TypedHttp.Json(new RevocationList(1, [], [], []), WireJson.Options));
        app.MapPost("/v1.0/invoke/identity/method/internal/overflow-pools", (PublishOverflowPoolRequest pool) => fake.Pool("pool-key-1"));
        app.MapPost("/v1.0/invoke/identity/method/internal/overflow-pools/withdrawn", (WithdrawOverflowPoolRequest pool) => fake.Pool($"-{pool.KeyId}"));
        app.MapPost("/v1.0/invoke/identity/method/internal/overflow-pools/tokens", () =>
            fake.OnOverflowToken() is { } token ? TypedHttp.Json(new NodeTokenResponse(token, DateTimeOffset.UtcNow.AddHours(1)), WireJson.Options) : TypedHttp.StatusCode(500));
        app.MapGet("/v1.0/invoke/catalog/method/internal/modules/{name}/{version}", (string name, string version) =>
            fake.Modules.TryGetValue($"{name}@{version}", out var module) ? TypedHttp.Json(module, WireJson.Options) : TypedHttp.NotFound());
        app.MapPost("/v1.0/invoke/{hub}/method/internal/hub/leases", (string hub, HttpContext http) => fake.OfferAsync(http));
        app.MapPost("/v1.0/invoke/{hub}/method/internal/hub/revocations", (string hub, HttpContext http) => fake.RevokeAsync(http));
        app.MapPost("/v1.0/publish/{component}/{topic}", fake.PublishAsync);
        app.MapMethods("/v1.0/actors/{type}/{id}/method/{method}", ["PUT", "POST"], fake.ActorAsync);
        await app.StartAsync();
        return fake;
    }

    public string Token(TenantId tenant, string scopes = "jobs nodes")
    {
        var now = DateTimeOffset.UtcNow;
        return AccessTokens.Create(
            new ECDsaSecurityKey(identityKey) { KeyId = "k1" },
            new AccessTokenContent(Guid.CreateVersion7(), "device", tenant, scopes.Split(' '), null, now, now.AddHours(1)));
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        toApp.Dispose();
        identityKey.Dispose();
    }

    private IResult Jwks()
    {
        var point = identityKey.ExportParameters(false).Q;
        return TypedHttp.Text(
            $$"""{"keys":[{"kty":"EC","crv":"P-256","x":"{{Base64UrlEncoder.Encode(point.X)}}","y":"{{Base64UrlEncoder.Encode(point.Y)}}","kid":"k1","use":"sig","alg":"ES256"}]}""",
            "application/json");
    }

    private async Task<IResult> OfferAsync(HttpContext http)
    {
        var offer = (await JsonSerializer.DeserializeAsync<LeaseOffer>(http.Request.Body, WireJson.Options))!;
        OfferHeaders.Enqueue((http.Request.Headers["traceparent"], http.Request.Headers["tracestate"]));
        Offers.Enqueue(offer);
        return TypedHttp.Json(await OnOfferOf.GetValueOrDefault(offer.JobId, OnOffer)(offer), WireJson.Options);
    }

    private async Task<IResult> RevokeAsync(HttpContext http)
    {
        var revocation = (await JsonSerializer.DeserializeAsync<LeaseRevocation>(http.Request.Body, WireJson.Options))!;
        Revocations.Enqueue(revocation);
        return OnRevocation(revocation) is { } answer ? TypedHttp.Json(answer, WireJson.Options) : TypedHttp.StatusCode(500);
    }

    private IResult Pool(string told)
    {
        Pools.Enqueue(told);
        return TypedHttp.Json(new OverflowPool(Guid.CreateVersion7(), TenantId.New(), "pool-key-1"), WireJson.Options);
    }

    private async Task<IResult> PublishAsync(string component, string topic, HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        Published.Enqueue((component, topic, await reader.ReadToEndAsync()));
        return TypedHttp.NoContent();
    }

    private async Task ActorAsync(string type, string id, string method, HttpContext http)
    {
        if (ActorsAway)
        {
            http.Response.StatusCode = 500;
            await http.Response.WriteAsJsonAsync(new { errorCode = "ERR_ACTOR_NO_ADDRESS", message = "no host" });
            return;
        }

        Interlocked.Increment(ref actorCalls);
        var turn = turns.GetOrAdd($"{type}/{id}", _ => new SemaphoreSlim(1, 1));
        await turn.WaitAsync();
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, new Uri(Scheduler!, $"/actors/{type}/{id}/method/{method}"));
            using var buffer = new MemoryStream();
            await http.Request.Body.CopyToAsync(buffer);
            request.Content = new ByteArrayContent(buffer.ToArray());
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(http.Request.ContentType ?? "application/json");
            request.Headers.Add("dapr-api-token", ApiToken);
            using var response = await toApp.SendAsync(request);
            http.Response.StatusCode = (int)response.StatusCode;
            foreach (var header in response.Headers.Where(header => header.Key.StartsWith("X-Dapr", StringComparison.OrdinalIgnoreCase)))
            {
                http.Response.Headers[header.Key] = header.Value.ToArray();
            }

            await response.Content.CopyToAsync(http.Response.Body);
        }
        finally
        {
            turn.Release();
        }
    }
}
