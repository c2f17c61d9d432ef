using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

public sealed class UploadTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const int Chunk = 100_000;
    private readonly string folder = Directory.CreateTempSubdirectory("uploads-").FullName;
    private readonly TenantId tenant = TenantId.New();
    private BlobHost host = null!;
    private HttpClient http = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await RestartAsync();

    [Fact]
    public async Task A_file_uploaded_in_pieces_becomes_a_blob()
    {
        var blob = SealedBytes.Random(250_000);
        var upload = await CreateAsync(blob);

        for (var offset = 0; offset < blob.Bytes.Length; offset += Chunk)
        {
            var answer = await PatchAsync(upload, offset, blob.Bytes.AsMemory(offset, Math.Min(Chunk, blob.Bytes.Length - offset)));
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
            Assert.Equal($"{Math.Min(offset + Chunk, blob.Bytes.Length)}", Header(answer, "Upload-Offset"));
        }

        Assert.Equal(blob.Bytes, await http.GetByteArrayAsync($"/v1/blobs/{blob.Sha256}", Token));
        Assert.Equal("250000", Header(await HeadAsync(upload), "Upload-Offset"));
        Assert.Empty(Directory.GetFiles(Path.Combine(folder, "uploads")));
    }

    [Fact]
    public async Task Every_answer_names_the_version_and_options_names_the_extensions()
    {
        using var anonymous = new HttpClient { BaseAddress = host.Address };
        using var request = new HttpRequestMessage(HttpMethod.Options, "/v1/uploads");

        var answer = await anonymous.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal("1.0.0", Header(answer, "Tus-Version"));
        Assert.Contains("creation", Header(answer, "Tus-Extension"), StringComparison.Ordinal);
        Assert.Equal("1.0.0", Header(answer, "Tus-Resumable"));
        Assert.Equal("1.0.0", Header(await HeadAsync($"/v1/uploads/{Guid.CreateVersion7()}"), "Tus-Resumable"));
    }

    [Fact]
    public async Task A_request_of_another_version_changes_nothing()
    {
        http.DefaultRequestHeaders.Remove("Tus-Resumable");
        http.DefaultRequestHeaders.Add("Tus-Resumable", "0.2.2");

        var answer = await PostAsync(SealedBytes.Random(100));

        Assert.Equal(HttpStatusCode.PreconditionFailed, answer.StatusCode);
        Assert.Equal("1.0.0", Header(answer, "Tus-Version"));
    }

    [Fact]
    public async Task Without_a_token_or_with_one_of_another_scope_nothing_is_taken()
    {
        using var anonymous = new HttpClient { BaseAddress = host.Address };
        using var other = host.ClientFor(tenant, "credits");

        Assert.Equal(HttpStatusCode.Unauthorized, (await anonymous.PostAsync("/v1/uploads", null, Token)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await other.PostAsync("/v1/uploads", null, Token)).StatusCode);
    }

    [Theory]
    [InlineData(null, "Upload-Length")]
    [InlineData("-1", "Upload-Length")]
    [InlineData("abc", "Upload-Length")]
    public async Task A_creation_without_a_length_is_told_so(string? length, string expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/uploads");
        if (length is not null)
        {
            request.Headers.TryAddWithoutValidation("Upload-Length", length);
        }

        var answer = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(expected, await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("filename c2NlbmU=")]
    [InlineData("sha256 !!!")]
    [InlineData("sha256")]
    [InlineData("sha256 c2NlbmU=")]
    public async Task A_creation_without_a_hash_is_told_so(string? metadata)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/uploads");
        request.Headers.Add("Upload-Length", "100");
        if (metadata is not null)
        {
            request.Headers.TryAddWithoutValidation("Upload-Metadata", metadata);
        }

        var answer = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("SHA-256", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upload_that_announces_too_much_is_refused()
    {
        await RestartAsync(new() { ["Gateway:Blobs:MaxUploadBytes"] = "1000" });

        var answer = await PostAsync(SealedBytes.Random(1001));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Contains("MaxUploadBytes", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_open_uploads_than_a_tenant_may_have_are_refused()
    {
        await RestartAsync(new() { ["Gateway:Blobs:MaxOpenUploads"] = "2" });
        await CreateAsync(SealedBytes.Random(100));
        await CreateAsync(SealedBytes.Random(100));

        Assert.Equal(HttpStatusCode.TooManyRequests, (await PostAsync(SealedBytes.Random(100))).StatusCode);
        Assert.Equal(2, Directory.GetFiles(Path.Combine(folder, "uploads")).Length);
    }

    [Fact]
    public async Task More_bytes_than_a_tenants_open_uploads_may_promise_are_refused()
    {
        await RestartAsync(new() { ["Gateway:Blobs:MaxOpenUploadBytes"] = "250" });
        await CreateAsync(SealedBytes.Random(100));
        var second = await CreateAsync(SealedBytes.Random(100));

        Assert.Equal(HttpStatusCode.TooManyRequests, (await PostAsync(SealedBytes.Random(100))).StatusCode);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await PostAsync(SealedBytes.Random(300))).StatusCode);
        await http.DeleteAsync(second, Token);
        await CreateAsync(SealedBytes.Random(100));
    }

    [Theory]
    [InlineData(50, false)]
    [InlineData(50, true)]
    public async Task More_bytes_than_announced_are_refused_and_none_is_kept(int tooMany, bool chunked)
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        await PatchAsync(upload, 0, blob.Bytes.AsMemory(0, 400));

        var answer = await PatchAsync(upload, 400, new byte[600 + tooMany], chunked);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Equal("400", Header(await HeadAsync(upload), "Upload-Offset"));
    }

    [Fact]
    public async Task Plaintext_is_refused_with_its_first_bytes_and_nothing_of_it_is_kept()
    {
        var plaintext = SealedBytes.Of(Encoding.UTF8.GetBytes("// PLANTED-MARKER camera { location <0, 2, -9> }"));
        var upload = await CreateAsync(plaintext);

        var answer = await PatchAsync(upload, 0, plaintext.Bytes.AsMemory(0, 30));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
        Assert.Contains("Seal the asset", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(upload)).StatusCode);
        Assert.Empty(Directory.GetFiles(folder, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Plaintext_is_found_out_even_when_its_first_bytes_come_one_by_one()
    {
        var bytes = Encoding.UTF8.GetBytes("RTSEAL2\n and then the scene");
        var upload = await CreateAsync(SealedBytes.Of(bytes));
        for (var offset = 0; offset < 6; offset++)
        {
            Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(upload, offset, bytes.AsMemory(offset, 1))).StatusCode);
        }

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await PatchAsync(upload, 6, bytes.AsMemory(6, 1))).StatusCode);
    }

    [Fact]
    public async Task Corrupted_bytes_are_found_at_the_end_and_the_upload_is_discarded()
    {
        var blob = SealedBytes.Random(1000);
        var corrupted = blob.Bytes.ToArray();
        corrupted[500] ^= 1;
        var upload = await CreateAsync(blob);

        var answer = await PatchAsync(upload, 0, corrupted);

        Assert.Equal(460, (int)answer.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(upload)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync($"/v1/blobs/{blob.Sha256}", Token)).StatusCode);
    }

    [Fact]
    public async Task A_wrong_offset_is_told_the_right_one()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        await PatchAsync(upload, 0, blob.Bytes.AsMemory(0, 400));

        var repeated = await PatchAsync(upload, 0, blob.Bytes.AsMemory(0, 400));
        var ahead = await PatchAsync(upload, 401, blob.Bytes.AsMemory(401));

        Assert.Equal(HttpStatusCode.Conflict, repeated.StatusCode);
        Assert.Equal(HttpStatusCode.Conflict, ahead.StatusCode);
        Assert.Contains("Go on from 400", await ahead.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_patch_of_another_type_is_refused()
    {
        var upload = await CreateAsync(SealedBytes.Random(1000));
        using var request = new HttpRequestMessage(HttpMethod.Patch, upload) { Content = new StringContent("x") };
        request.Headers.Add("Upload-Offset", "0");

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await http.SendAsync(request, Token)).StatusCode);
    }

    [Fact]
    public async Task Another_tenant_sees_no_upload_and_cannot_touch_it()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        using var stranger = host.ClientFor(TenantId.New());

        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(upload, stranger)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await PatchAsync(upload, 0, blob.Bytes, client: stranger)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.DeleteAsync(upload, Token)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.DeleteAsync($"/v1/uploads/{Guid.CreateVersion7()}", Token)).StatusCode);
        Assert.Equal("0", Header(await HeadAsync(upload), "Upload-Offset"));
    }

    [Fact]
    public async Task What_came_before_a_broken_connection_is_kept()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);

        using (var socket = await OpenPatchAsync(upload, 1000))
        {
            await socket.SendAsync(blob.Bytes.AsMemory(0, 300), Token);
            await Wait.ForAsync(async () => Header(await HeadAsync(upload), "Upload-Offset"), offset => offset == "300");
        }

        await Wait.ForAsync(async () => (int)(await PatchAsync(upload, 300, blob.Bytes.AsMemory(300))).StatusCode, status => status == 204);
        Assert.Equal(blob.Bytes, await http.GetByteArrayAsync($"/v1/blobs/{blob.Sha256}", Token));
    }

    [Fact]
    public async Task While_one_connection_writes_another_is_told_to_wait()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        using var socket = await OpenPatchAsync(upload, 1000);
        await socket.SendAsync(blob.Bytes.AsMemory(0, 300), Token);
        await Wait.ForAsync(async () => Header(await HeadAsync(upload), "Upload-Offset"), offset => offset == "300");

        Assert.Equal(HttpStatusCode.Locked, (await PatchAsync(upload, 300, blob.Bytes.AsMemory(300))).StatusCode);
        Assert.Equal(HttpStatusCode.Locked, (await http.DeleteAsync(upload, Token)).StatusCode);
    }

    [Fact]
    public async Task An_upload_goes_on_after_a_restart()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        await PatchAsync(upload, 0, blob.Bytes.AsMemory(0, 400));

        await RestartAsync();

        Assert.Equal("400", Header(await HeadAsync(upload), "Upload-Offset"));
        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(upload, 400, blob.Bytes.AsMemory(400))).StatusCode);
    }

    [Fact]
    public async Task An_upload_whose_last_byte_came_just_before_a_crash_is_finished_by_asking()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        await PatchAsync(upload, 0, blob.Bytes.AsMemory(0, 400));
        await File.WriteAllBytesAsync(Directory.GetFiles(Path.Combine(folder, "uploads")).Single(), blob.Bytes, Token);

        Assert.Equal("1000", Header(await HeadAsync(upload), "Upload-Offset"));

        Assert.Equal(blob.Bytes, await http.GetByteArrayAsync($"/v1/blobs/{blob.Sha256}", Token));
    }

    [Fact]
    public async Task A_crash_between_storing_and_noting_is_healed_by_asking()
    {
        var blob = SealedBytes.Random(1000);
        var (first, second) = (await CreateAsync(blob), await CreateAsync(blob));
        await PatchAsync(first, 0, blob.Bytes);
        File.Delete(Directory.GetFiles(Path.Combine(folder, "uploads")).Single());

        Assert.Equal("1000", Header(await HeadAsync(second), "Upload-Offset"));
    }

    [Fact]
    public async Task An_upload_of_what_is_already_there_ends_well()
    {
        var blob = SealedBytes.Random(1000);
        var (first, second) = (await CreateAsync(blob), await CreateAsync(blob));

        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(first, 0, blob.Bytes)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(second, 0, blob.Bytes)).StatusCode);
    }

    [Fact]
    public async Task A_terminated_upload_is_gone_and_its_blob_stays()
    {
        var blob = SealedBytes.Random(1000);
        var (finished, open) = (await CreateAsync(blob), await CreateAsync(SealedBytes.Random(100)));
        await PatchAsync(finished, 0, blob.Bytes);

        Assert.Equal(HttpStatusCode.NoContent, (await http.DeleteAsync(finished, Token)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await http.DeleteAsync(open, Token)).StatusCode);

        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(open)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"/v1/blobs/{blob.Sha256}", Token)).StatusCode);
        Assert.Empty(Directory.GetFiles(Path.Combine(folder, "uploads")));
    }

    [Fact]
    public async Task A_method_override_stands_for_patch()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        using var request = new HttpRequestMessage(HttpMethod.Post, upload) { Content = Body(blob.Bytes, chunked: false) };
        request.Headers.Add("Upload-Offset", "0");
        request.Headers.Add("X-HTTP-Method-Override", "PATCH");

        Assert.Equal(HttpStatusCode.NoContent, (await http.SendAsync(request, Token)).StatusCode);
    }

    [Fact]
    public async Task An_expired_upload_is_gone_with_its_bytes()
    {
        var upload = await CreateAsync(SealedBytes.Random(1000));
        await using (var admin = database.Admin())
        await using (var expire = admin.CreateCommand("UPDATE gateway.uploads SET expires_at = now() - interval '1 minute' WHERE tenant_id = $1"))
        {
            expire.Parameters.Add(new() { Value = tenant.Value });
            await expire.ExecuteNonQueryAsync(Token);
        }

        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(upload)).StatusCode);
        var file = Directory.GetFiles(Path.Combine(folder, "uploads")).Single();
        File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddHours(-2));
        await host.Services.GetRequiredService<UploadSessions>().SweepAsync(Token);
        Assert.False(File.Exists(file));
    }

    [Fact]
    public async Task Sweeping_leaves_what_may_still_be_finished()
    {
        var blob = SealedBytes.Random(1000);
        var upload = await CreateAsync(blob);
        File.SetLastWriteTimeUtc(Directory.GetFiles(Path.Combine(folder, "uploads")).Single(), DateTime.UtcNow.AddHours(-20));

        await host.Services.GetRequiredService<UploadSessions>().SweepAsync(Token);

        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(upload, 0, blob.Bytes)).StatusCode);
    }

    [Fact]
    public async Task A_body_larger_than_any_json_may_be_is_taken()
    {
        var blob = SealedBytes.Random(12 * 1024 * 1024);
        var upload = await CreateAsync(blob);

        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(upload, 0, blob.Bytes)).StatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await host.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static string? Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? values.Single() : null;

    private static ByteArrayContent Body(ReadOnlyMemory<byte> bytes, bool chunked) => chunked ? new ChunkedBody(bytes.ToArray()) : new ByteArrayContent(bytes.ToArray()) { Headers = { ContentType = new("application/offset+octet-stream") } };

    private async Task RestartAsync(Dictionary<string, string?>? settings = null)
    {
        if (host is not null)
        {
            http.Dispose();
            await host.DisposeAsync();
        }

        host = await BlobHost.StartAsync(database, folder, settings);
        http = host.ClientFor(tenant);
    }

    private async Task<HttpResponseMessage> PostAsync(SealedBytes blob)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/uploads");
        request.Headers.Add("Upload-Length", $"{blob.Bytes.Length}");
        request.Headers.Add("Upload-Metadata", $"filename c2NlbmU=,sha256 {Convert.ToBase64String(Encoding.ASCII.GetBytes(blob.Sha256))}");
        return await http.SendAsync(request, Token);
    }

    private async Task<string> CreateAsync(SealedBytes blob)
    {
        var answer = await PostAsync(blob);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return answer.Headers.Location!.ToString();
    }

    private async Task<HttpResponseMessage> HeadAsync(string upload, HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, upload);
        return await (client ?? http).SendAsync(request, Token);
    }

    private async Task<HttpResponseMessage> PatchAsync(string upload, int offset, ReadOnlyMemory<byte> bytes, bool chunked = false, HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Patch, upload) { Content = Body(bytes, chunked) };
        request.Headers.Add("Upload-Offset", $"{offset}");
        return await (client ?? http).SendAsync(request, Token);
    }

    /// <summary>Sends the head of a PATCH over a bare socket, so that the test decides when its bytes come.</summary>
    private async Task<Socket> OpenPatchAsync(string upload, int length)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(host.Address.Host, host.Address.Port, Token);
        await socket.SendAsync(Encoding.ASCII.GetBytes(
            $"PATCH {upload} HTTP/1.1\r\nHost: {host.Address.Authority}\r\nAuthorization: Bearer {host.TokenFor(tenant)}\r\nTus-Resumable: 1.0.0\r\n"
            + $"Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {length}\r\n\r\n"), Token);
        return socket;
    }

    private sealed class ChunkedBody : ByteArrayContent
    {
        public ChunkedBody(byte[] bytes)
            : base(bytes)
        {
            Headers.ContentType = new MediaTypeHeaderValue("application/offset+octet-stream");
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
