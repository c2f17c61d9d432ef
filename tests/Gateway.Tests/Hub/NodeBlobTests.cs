using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.Gateway.Tests.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>Blobs at the nodes' listener: certificate and lease token together, or nothing.</summary>
public sealed class NodeBlobTests(TestDatabase database) : HubTest(database)
{
    private readonly TenantId creator = TenantId.New();
    private readonly SealedBytes asset = SealedBytes.Random(300_000);

    private protected override (string Key, string Value)[] Settings => [("Gateway:Blobs:MaxUploadBytes", "20000000"), ("Gateway:Blobs:MaxBytesPerAttempt", "30000000")];

    private IBlobStore Store => Host.Services.GetRequiredService<IBlobStore>();

    [Fact]
    public async Task The_token_of_an_offer_opens_the_blobs_of_that_offer()
    {
        await Store.PutAsync(creator, asset.Sha256, asset.Open(), Token);
        var node = await OpenAsync();
        var answering = Host.OfferAsync(Leases.Offer(Node, node.Epoch, creator, assets: asset.Sha256));
        var offer = await node.NextAsync(frame => frame.Offer);
        await node.AcknowledgeAsync(offer);
        await answering;

        using var http = Host.HttpFor(Certificate, offer.BlobToken);

        Assert.Equal(asset.Bytes, await http.GetByteArrayAsync($"/v1/node/blobs/{asset.Sha256}", Token));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task An_output_is_stored_for_the_jobs_tenant(string version)
    {
        var output = SealedBytes.Random(12_000_000);
        using var http = Host.HttpFor(Certificate, Issue());
        http.DefaultRequestVersion = Version.Parse(version);
        http.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;

        var first = await PutAsync(http, output.Sha256, output.Bytes);
        var again = await PutAsync(http, output.Sha256, output.Bytes);

        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, again.StatusCode);
        Assert.True(await Store.ExistsAsync(creator, output.Sha256, Token));
        Assert.False(await Store.ExistsAsync(Owner, output.Sha256, Token));
    }

    [Fact]
    public async Task A_corrupted_output_is_not_kept()
    {
        var output = SealedBytes.Random(100_000);
        using var http = Host.HttpFor(Certificate, Issue());

        var answer = await PutAsync(http, output.Sha256, [.. output.Bytes[..^1], (byte)(output.Bytes[^1] ^ 1)]);

        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        Assert.False(await Store.ExistsAsync(creator, output.Sha256, Token));
    }

    [Fact]
    public async Task A_plain_output_is_not_kept()
    {
        var output = SealedBytes.Of(Encoding.UTF8.GetBytes("PNG and so on"));
        using var http = Host.HttpFor(Certificate, Issue());

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await PutAsync(http, output.Sha256, output.Bytes)).StatusCode);
        Assert.False(await Store.ExistsAsync(creator, output.Sha256, Token));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_output_over_the_limit_is_not_kept(bool announced)
    {
        var output = SealedBytes.Random(20_000_001);
        using var http = Host.HttpFor(Certificate, Issue());
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/v1/node/blobs/{output.Sha256}") { Content = new ByteArrayContent(output.Bytes) };
        request.Headers.ExpectContinue = true;
        request.Headers.TransferEncodingChunked = !announced;

        var answer = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.False(await Store.ExistsAsync(creator, output.Sha256, Token));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_attempt_writes_no_more_than_its_budget(bool announced)
    {
        SealedBytes first = SealedBytes.Random(18_000_000), second = SealedBytes.Random(13_000_000), third = SealedBytes.Random(11_000_000);
        using var http = Host.HttpFor(Certificate, Issue());
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await PutAsync(http, second.Sha256, first.Bytes)).StatusCode);
        Assert.Equal(HttpStatusCode.Created, (await PutAsync(http, first.Sha256, first.Bytes)).StatusCode);
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/v1/node/blobs/{second.Sha256}") { Content = new ByteArrayContent(second.Bytes) };
        request.Headers.ExpectContinue = true;
        request.Headers.TransferEncodingChunked = !announced;

        var over = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, over.StatusCode);
        Assert.Contains("MaxBytesPerAttempt", await over.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.False(await Store.ExistsAsync(creator, second.Sha256, Token));
        Assert.Equal(HttpStatusCode.NoContent, (await PutAsync(http, first.Sha256, first.Bytes)).StatusCode);
        Assert.Equal(HttpStatusCode.Created, (await PutAsync(http, third.Sha256, third.Bytes)).StatusCode);
        using var other = Host.HttpFor(Certificate, Issue());
        Assert.Equal(HttpStatusCode.Created, (await PutAsync(other, second.Sha256, second.Bytes)).StatusCode);
    }

    [Fact]
    public async Task Without_a_token_nothing_is_given_or_taken()
    {
        await Store.PutAsync(creator, asset.Sha256, asset.Open(), Token);
        using var http = Host.HttpFor(Certificate);

        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await PutAsync(http, asset.Sha256, asset.Bytes)).StatusCode);
    }

    [Fact]
    public async Task An_expired_token_is_refused_and_says_so()
    {
        await Store.PutAsync(creator, asset.Sha256, asset.Open(), Token);
        using var http = Host.HttpFor(Certificate, Issue(life: TimeSpan.FromSeconds(-1), readable: asset.Sha256));

        var answer = await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Contains("ended with its lease", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await PutAsync(http, asset.Sha256, asset.Bytes)).StatusCode);
    }

    [Fact]
    public async Task The_good_token_of_another_node_is_refused()
    {
        await Store.PutAsync(creator, asset.Sha256, asset.Open(), Token);
        var output = SealedBytes.Random(1000);
        using var thief = Sidecar.Ca.IssueNode(NodeId.New(), Owner);
        using var http = Host.HttpFor(thief, Issue(readable: asset.Sha256));

        Assert.Equal(HttpStatusCode.Forbidden, (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await PutAsync(http, output.Sha256, output.Bytes)).StatusCode);
        Assert.False(await Store.ExistsAsync(creator, output.Sha256, Token));
    }

    [Fact]
    public async Task A_forged_token_is_refused()
    {
        using var http = Host.HttpFor(Certificate, Issue(readable: asset.Sha256)[..^4] + "AAAA");

        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);
    }

    [Fact]
    public async Task A_blob_outside_the_lease_is_refused_whether_it_is_there_or_not()
    {
        await Store.PutAsync(creator, asset.Sha256, asset.Open(), Token);
        using var http = Host.HttpFor(Certificate, Issue(readable: SealedBytes.Random(10).Sha256));

        Assert.Equal(HttpStatusCode.Forbidden, (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await http.GetAsync($"/v1/node/blobs/{SealedBytes.Random(10).Sha256}", Token)).StatusCode);
    }

    [Fact]
    public async Task A_lease_does_not_reach_another_tenants_blob_of_the_same_hash()
    {
        await Store.PutAsync(TenantId.New(), asset.Sha256, asset.Open(), Token);
        using var http = Host.HttpFor(Certificate, Issue(readable: asset.Sha256));

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);
    }

    [Fact]
    public async Task A_revoked_node_gets_nothing_more()
    {
        await Store.PutAsync(creator, asset.Sha256, asset.Open(), Token);
        using var http = Host.HttpFor(Certificate, Issue(readable: asset.Sha256));
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);

        Sidecar.Revoke(Node);

        await Wait.ForAsync(async () => (await http.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode, status => status == HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task The_public_listener_knows_no_node_blobs_and_tells_nothing_to_a_name_that_is_no_hash()
    {
        using var open = new HttpClient { BaseAddress = Host.PublicUrl };
        open.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Lease {Issue(readable: asset.Sha256)}");
        using var http = Host.HttpFor(Certificate, Issue());

        Assert.Equal(HttpStatusCode.NotFound, (await open.GetAsync($"/v1/node/blobs/{asset.Sha256}", Token)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await http.GetAsync("/v1/node/blobs/..%2fx", Token)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await PutAsync(http, "x", asset.Bytes)).StatusCode);
    }

    private static Task<HttpResponseMessage> PutAsync(HttpClient http, string sha256, byte[] bytes) => http.PutAsync($"/v1/node/blobs/{sha256}", new ByteArrayContent(bytes), Token);

    private string Issue(TimeSpan? life = null, params string[] readable) => Host.Services.GetRequiredService<LeaseTokens>().Issue(
        new LeaseBlobClaims(Node, AttemptId.New(), 17, creator, readable, DateTimeOffset.UtcNow + (life ?? TimeSpan.FromMinutes(5))));
}
