using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

public sealed class ReadBlobTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("blobs-").FullName;
    private readonly TenantId tenant = TenantId.New();
    private readonly SealedBytes blob = SealedBytes.Random(100_000);
    private BlobHost host = null!;
    private HttpClient http = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        host = await BlobHost.StartAsync(database, folder);
        http = host.ClientFor(tenant);
        await host.Services.GetRequiredService<IBlobStore>().PutAsync(tenant, blob.Sha256, blob.Open(), Token);
    }

    [Fact]
    public async Task The_owner_reads_the_whole_blob()
    {
        var answer = await http.GetAsync($"/v1/blobs/{blob.Sha256}", Token);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(MediaTypes.Sealed, answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal($"\"{blob.Sha256}\"", answer.Headers.ETag?.Tag);
        Assert.Equal(blob.Bytes, await answer.Content.ReadAsByteArrayAsync(Token));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(100, 4_000)]
    [InlineData(99_999, 99_999)]
    public async Task A_range_is_read_alone(int from, int to)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/blobs/{blob.Sha256}") { Headers = { Range = new RangeHeaderValue(from, to) } };

        var answer = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.PartialContent, answer.StatusCode);
        Assert.Equal(100_000, answer.Content.Headers.ContentRange?.Length);
        Assert.Equal(blob.Bytes[from..(to + 1)], await answer.Content.ReadAsByteArrayAsync(Token));
    }

    [Fact]
    public async Task A_range_beyond_the_end_is_refused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/blobs/{blob.Sha256}") { Headers = { Range = new RangeHeaderValue(100_000, 100_001) } };

        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, (await http.SendAsync(request, Token)).StatusCode);
    }

    [Fact]
    public async Task Head_tells_the_length_and_sends_nothing()
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, $"/v1/blobs/{blob.Sha256}");

        var answer = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(100_000, answer.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task A_foreign_blob_and_an_unknown_one_look_the_same()
    {
        using var stranger = host.ClientFor(TenantId.New());

        var foreign = await stranger.GetAsync($"/v1/blobs/{blob.Sha256}", Token);
        var unknown = await stranger.GetAsync($"/v1/blobs/{SealedBytes.Random(10).Sha256}", Token);

        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(WithoutTrace(await unknown.Content.ReadAsStringAsync(Token)), WithoutTrace(await foreign.Content.ReadAsStringAsync(Token)));
    }

    [Theory]
    [InlineData("abc")]
    [InlineData("..%2f..%2fetc%2fpasswd")]
    [InlineData("ABCDEF0000000000000000000000000000000000000000000000000000000000")]
    public async Task A_name_that_is_no_hash_is_told_so(string name)
    {
        var answer = await http.GetAsync($"/v1/blobs/{name}", Token);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("64 lower-case hex", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_token_nothing_is_read()
    {
        using var anonymous = new HttpClient { BaseAddress = host.Address };

        Assert.Equal(HttpStatusCode.Unauthorized, (await anonymous.GetAsync($"/v1/blobs/{blob.Sha256}", Token)).StatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await host.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static string WithoutTrace(string problem) => problem[..Math.Max(0, problem.IndexOf("traceId", StringComparison.Ordinal))];
}
