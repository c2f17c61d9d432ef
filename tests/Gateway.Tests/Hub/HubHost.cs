using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.Gateway.Hub;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>The whole gateway, put together as Program does, on real listeners with real TLS; only the sidecar's place is taken.</summary>
internal sealed class HubHost : IAsyncDisposable
{
    private const string ApiToken = "app-token";
    private readonly WebApplication app;

    private HubHost(WebApplication app, HubSidecar sidecar, Uri node, Uri publicUrl, Uri appUrl) =>
        (this.app, Sidecar, NodeUrl, PublicUrl, AppUrl) = (app, sidecar, node, publicUrl, appUrl);

    public HubSidecar Sidecar { get; }

    public Uri NodeUrl { get; }

    public Uri PublicUrl { get; }

    public Uri AppUrl { get; }

    public IServiceProvider Services => app.Services;

    public static async Task<HubHost> StartAsync(TestDatabase database, string folder, HubSidecar sidecar, params (string Key, string Value)[] settings)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await StartOnceAsync(database, folder, sidecar, settings);
            }
            catch (IOException exception) when (tries < 5 && exception.Message.Contains("address already in use", StringComparison.OrdinalIgnoreCase))
            {
                // A port that was free when it was picked may be someone's connection by now.
            }
        }
    }

    private static async Task<HubHost> StartOnceAsync(TestDatabase database, string folder, HubSidecar sidecar, (string Key, string Value)[] settings)
    {
        var (nodePort, publicPort, appPort) = (TestPorts.Free(), TestPorts.Free(), TestPorts.Free());
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["APP_PORT"] = $"{appPort}", ["APP_API_TOKEN"] = ApiToken, ["DAPR_HTTP_PORT"] = $"{sidecar.Port}",
            ["ConnectionStrings:Postgres"] = database.ConnectionStringFor("gateway"),
            ["Gateway:PublicUrl"] = $"http://127.0.0.1:{publicPort}",
            ["Gateway:Blobs:Directory"] = Path.Combine(folder, "blobs"),
            ["Gateway:Hub:Port"] = $"{nodePort}",
            ["Gateway:Hub:KeyDirectory"] = Path.Combine(folder, "keys", "hub"),
            ["Trust:RevocationPollSeconds"] = "0.2",
        });
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(setting => setting.Key, setting => (string?)setting.Value));
        builder.AddEdge();
        builder.AddBlobs();
        builder.AddHub();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.MapEdge();
        app.MapBlobs();
        app.MapHub();
        await app.StartAsync();
        return new HubHost(app, sidecar, new Uri($"https://127.0.0.1:{nodePort}"), new Uri($"http://127.0.0.1:{publicPort}"), new Uri($"http://127.0.0.1:{appPort}"));
    }

    public Task ReadyAsync() => Services.GetRequiredService<HubCertificates>().Ready.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    /// <summary>Plain HTTP at the node listener with a certificate, or without one.</summary>
    public HttpClient HttpFor(X509Certificate2? certificate, string? leaseToken = null)
    {
        var client = new HttpClient(Handler(certificate)) { BaseAddress = NodeUrl };
        if (leaseToken is not null)
        {
            client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Lease {leaseToken}");
        }

        return client;
    }

    public TestNode Connect(X509Certificate2 certificate) =>
        new(GrpcChannel.ForAddress(NodeUrl, new GrpcChannelOptions { HttpHandler = Handler(certificate), DisposeHttpClient = true }));

    public Task<LeaseOfferResponse> OfferAsync(LeaseOffer offer) => InternalAsync<LeaseOffer, LeaseOfferResponse>("/internal/hub/leases", offer);

    public Task<LeaseRevocationResponse> RevokeAsync(LeaseRevocation revocation) => InternalAsync<LeaseRevocation, LeaseRevocationResponse>("/internal/hub/revocations", revocation);

    /// <summary>As the sidecar would deliver a call of <paramref name="caller"/>.</summary>
    public async Task<HttpResponseMessage> PostInternalAsync<T>(string path, T body, string? caller = Apps.Scheduler, string? token = ApiToken, Uri? at = null)
    {
        using var http = new HttpClient { BaseAddress = at ?? AppUrl };
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body, options: WireJson.Options) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        if (caller is not null)
        {
            request.Headers.Add("dapr-caller-app-id", caller);
        }

        if (token is not null)
        {
            request.Headers.Add("dapr-api-token", token);
        }

        return await http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    private async Task<TResponse> InternalAsync<TRequest, TResponse>(string path, TRequest body)
    {
        var answer = await PostInternalAsync(path, body);
        Assert.True(answer.IsSuccessStatusCode, $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        return (await answer.Content.ReadFromJsonAsync<TResponse>(WireJson.Options))!;
    }

    private SocketsHttpHandler Handler(X509Certificate2? certificate)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(Sidecar.Ca.Root);
        return new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificates = certificate is null ? null : [certificate],
                // Sent even if the server's hint names other issuers: the server must do the refusing.
                LocalCertificateSelectionCallback = certificate is null ? null : (_, _, _, _, _) => certificate,
                CertificateChainPolicy = policy,
            },
            UseProxy = false,
        };
    }
}
