using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hosting;

/// <summary>The edge of the gateway on its real listeners, with the sidecar's place taken by <see cref="FakeSidecar"/>.</summary>
internal sealed class EdgeHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private EdgeHost(WebApplication app, FakeSidecar sidecar, DirectoryInfo blobs, Uri gateway, Uri appUrl) =>
        (_app, Sidecar, Blobs, Gateway, AppUrl) = (app, sidecar, blobs, gateway, appUrl);

    public FakeSidecar Sidecar { get; }

    /// <summary>Folder of the blob store.</summary>
    public DirectoryInfo Blobs { get; }

    /// <summary>What the test asked for besides the usual.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; private init; } = new Dictionary<string, string>();

    public int BlobCount => Blobs.EnumerateFiles("*", SearchOption.AllDirectories).Count();

    public Uri Gateway { get; }

    /// <summary>The port that only the sidecar may use.</summary>
    public Uri AppUrl { get; }

    public static async Task<EdgeHost> StartAsync(params (string Key, string Value)[] settings)
    {
        var sidecar = await FakeSidecar.StartAsync();
        var (publicPort, appPort) = (TestPorts.Free(), TestPorts.Free());
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["RENDERTRUST_ENVIRONMENT"] = "Development",
            ["APP_PORT"] = $"{appPort}",
            ["DAPR_HTTP_PORT"] = $"{sidecar.Port}",
            ["Gateway:PublicUrl"] = $"http://127.0.0.1:{publicPort}",
            ["Trust:RevocationPollSeconds"] = "0.2",
        });
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value));
        builder.AddEdge();
        builder.Logging.ClearProviders();
        var blobs = Directory.CreateTempSubdirectory("rendertrust-edge-");
        builder.Services.Configure<BlobOptions>(options => options.Directory = blobs.FullName);
        builder.Services.AddSingleton<IBlobStore, FileBlobStore>();
        var app = builder.Build();
        app.MapEdge();
        app.MapGet("/internal/probe", () => "inside").AllowAnonymous();
        app.MapGet("/v1/node/probe", () => "nodes").AllowAnonymous();
        await app.StartAsync();
        return new EdgeHost(app, sidecar, blobs, new Uri($"http://127.0.0.1:{publicPort}"), new Uri($"http://127.0.0.1:{appPort}")) { Settings = settings.ToDictionary(s => s.Key, s => s.Value) };
    }

    public async Task StoreAsync(TenantId tenant, byte[] content)
    {
        using var stream = new MemoryStream(content);
        Assert.Equal(PutOutcome.Stored, await _app.Services.GetRequiredService<IBlobStore>().PutAsync(tenant, TestData.Ref(content).BlobSha256, stream, TestContext.Current.CancellationToken));
    }

    public Device NewDevice() => new(Sidecar);

    public A2AClient Agent(HttpClient http) => new(http, new Uri(Gateway, "/a2a"));

    public A2AClient NewAgent(out Device device)
    {
        device = NewDevice();
        return Agent(device.Client(Gateway));
    }

    /// <summary>Waits until something holds; a timeout says what was waited for.</summary>
    public static async Task UntilAsync(Func<bool> holds, string what)
    {
        var deadline = DateTimeOffset.UtcNow + TimeSpan.FromSeconds(30);
        while (!holds())
        {
            Assert.True(DateTimeOffset.UtcNow < deadline, $"Not within 30 s: {what}");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Sidecar.Scheduler.Stop();
        await _app.DisposeAsync();
        await Sidecar.DisposeAsync();
        Blobs.Delete(recursive: true);
    }
}
