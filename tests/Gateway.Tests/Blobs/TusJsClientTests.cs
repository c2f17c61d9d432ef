using RenderTrust.Contracts;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>Our tus against the reference client of the protocol.</summary>
public sealed class TusJsClientTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const int Size = 5 * 1024 * 1024;
    private const int Chunk = 512 * 1024;
    private readonly string folder = Directory.CreateTempSubdirectory("tus-js-").FullName;
    private readonly TenantId tenant = TenantId.New();
    private BlobHost host = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => host = await BlobHost.StartAsync(database, Path.Combine(folder, "blobs"));

    [Fact]
    public async Task An_upload_killed_half_way_goes_on_where_it_stood()
    {
        var blob = SealedBytes.Random(Size);

        var killed = await UploadAsync(blob, dieAfter: Size / 2);
        Assert.True(killed.Died, $"{killed}");
        var resumed = await UploadAsync(blob);

        Assert.True(resumed.Done, $"{resumed}");
        Assert.Equal(killed.Url, resumed.Url);
        Assert.InRange(resumed.FirstOffset!.Value, killed.Accepted, Size - 1);
        using var http = host.ClientFor(tenant);
        Assert.Equal(blob.Bytes, await http.GetByteArrayAsync($"/v1/blobs/{blob.Sha256}", Token));
    }

    [Fact]
    public async Task An_upload_goes_on_after_the_gateway_was_started_anew()
    {
        var blob = SealedBytes.Random(Size);
        var killed = await UploadAsync(blob, dieAfter: Size / 2);
        var port = host.Address.Port;
        await host.DisposeAsync();
        host = await BlobHost.StartAsync(database, Path.Combine(folder, "blobs"), new() { ["APP_PORT"] = $"{port}" });

        var resumed = await UploadAsync(blob);

        Assert.True(resumed.Done, $"{resumed}");
        Assert.Equal(killed.Accepted, resumed.FirstOffset);
    }

    [Fact]
    public async Task A_wrong_hash_and_plaintext_are_errors_to_the_client()
    {
        var blob = SealedBytes.Random(Size);
        var lie = blob with { Sha256 = SealedBytes.Random(10).Sha256 };
        var plaintext = SealedBytes.Of(new byte[10_000]);

        Assert.Equal(460, (await UploadAsync(lie)).Status);
        Assert.Equal(415, (await UploadAsync(plaintext)).Status);
    }

    public async ValueTask DisposeAsync()
    {
        await host.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task<TusRun> UploadAsync(SealedBytes blob, int? dieAfter = null)
    {
        var file = Path.Combine(folder, blob.Sha256);
        await File.WriteAllBytesAsync(file, blob.Bytes, Token);
        return await TusJsClient.UploadAsync(
            new
            {
                endpoint = new Uri(host.Address, "/v1/uploads"), token = host.TokenFor(tenant), file, sha256 = blob.Sha256, chunkSize = Chunk,
                storage = Path.Combine(folder, "urls.json"), dieAfter,
            },
            Token);
    }
}
