using System.Globalization;
using RenderTrust.Gateway.Tests.Hosting;
using RenderTrust.ServiceDefaults;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>Uploads against a real gateway process that is killed with no chance to tidy up.</summary>
public sealed class KilledGatewayTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const int Size = 5 * 1024 * 1024;
    private const string ApiKey = "rtk_0123456789012345678901234567890123456789012";
    private readonly string folder = Directory.CreateTempSubdirectory("killed-gateway-").FullName;
    private FakeSidecar sidecar = null!;
    private GatewayProcess gateway = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        sidecar = await FakeSidecar.StartAsync();
        sidecar.ApiKeyTokens[ApiKey] = new Device(sidecar).Token(isBound: false, scopes: Scopes.Jobs);
        gateway = new GatewayProcess(database, sidecar, folder);
        await gateway.StartAsync();
    }

    [Fact]
    public async Task An_upload_survives_the_gateways_death_and_the_client_never_notices()
    {
        var blob = SealedBytes.Random(Size);
        var file = Path.Combine(folder, "asset");
        await File.WriteAllBytesAsync(file, blob.Bytes, Token);
        var uploading = TusJsClient.UploadAsync(
            new
            {
                endpoint = new Uri(gateway.Url, "/v1/uploads"), token = ApiKey, file, sha256 = blob.Sha256, chunkSize = 128 * 1024, storage = Path.Combine(folder, "urls.json"), pauseMs = 50,
            },
            Token);
        await Wait.ForAsync(() => Written(), bytes => bytes >= Size / 4);

        await gateway.KillAsync();
        var kept = Written();
        Assert.InRange(kept, Size / 4, Size - 1);
        await gateway.StartAsync();

        var run = await uploading;
        Assert.True(run.Done, $"{run}");
        Assert.Equal(0, run.FirstOffset);
        using var http = Client();
        Assert.Equal(blob.Bytes, await http.GetByteArrayAsync($"/v1/blobs/{blob.Sha256}", Token));
    }

    [Fact]
    public async Task After_a_death_the_offset_is_what_was_acknowledged()
    {
        var blob = SealedBytes.Random(Size);
        using var http = Client();
        using var create = new HttpRequestMessage(HttpMethod.Post, "/v1/uploads");
        create.Headers.Add("Upload-Length", $"{Size}");
        create.Headers.Add("Upload-Metadata", $"sha256 {Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(blob.Sha256))}");
        var upload = (await http.SendAsync(create, Token)).Headers.Location!;
        await PatchAsync(http, upload, 0, blob.Bytes[..2_000_000]);

        await gateway.KillAsync();
        await gateway.StartAsync();

        using var head = new HttpRequestMessage(HttpMethod.Head, upload);
        var answer = await http.SendAsync(head, Token);
        Assert.Equal(2_000_000, long.Parse(answer.Headers.GetValues("Upload-Offset").Single(), CultureInfo.InvariantCulture));
        await PatchAsync(http, upload, 2_000_000, blob.Bytes[2_000_000..]);
        Assert.Equal(blob.Bytes, await http.GetByteArrayAsync($"/v1/blobs/{blob.Sha256}", Token));
    }

    public async ValueTask DisposeAsync()
    {
        gateway.Dispose();
        await sidecar.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static async Task PatchAsync(HttpClient http, Uri upload, int offset, byte[] bytes)
    {
        using var patch = new HttpRequestMessage(HttpMethod.Patch, upload) { Content = new ByteArrayContent(bytes) { Headers = { ContentType = new("application/offset+octet-stream") } } };
        patch.Headers.Add("Upload-Offset", $"{offset}");
        var answer = await http.SendAsync(patch, Token);
        Assert.True(answer.IsSuccessStatusCode, $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync(Token)}");
    }

    private HttpClient Client()
    {
        var http = new HttpClient { BaseAddress = gateway.Url };
        http.DefaultRequestHeaders.Authorization = new("Bearer", ApiKey);
        http.DefaultRequestHeaders.Add("Tus-Resumable", "1.0.0");
        return http;
    }

    private long Written()
    {
        var uploads = new DirectoryInfo(Path.Combine(folder, "blobs", "uploads"));
        return uploads.Exists ? uploads.EnumerateFiles().Select(file => file.Length).DefaultIfEmpty().Max() : 0;
    }
}
