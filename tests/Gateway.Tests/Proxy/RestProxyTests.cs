using System.Net;
using System.Net.Sockets;
using System.Text;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.Proxy;

public sealed class RestProxyTests : IAsyncLifetime
{
    private EdgeHost _host = null!;
    private HttpClient _client = null!;
    private HttpClient _anonymous = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _host = await EdgeHost.StartAsync();
        _client = _host.NewDevice().Client(_host.Gateway);
        _anonymous = new HttpClient { BaseAddress = _host.Gateway };
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private static Uri At(string path) => new(path, UriKind.Relative);

    [Theory]
    [InlineData("/v1/identity/me", "identity")]
    [InlineData("/v1/credits", "ledger")]
    [InlineData("/v1/credits/entries?jobId=1", "ledger")]
    [InlineData("/v1/earnings", "ledger")]
    [InlineData("/v1/modules/povray/1.0.0", "catalog")]
    [InlineData("/v1/jobs?cursor=a.b", "scheduler")]
    [InlineData("/v1/nodes", "scheduler")]
    public async Task Public_paths_reach_their_service_unchanged(string path, string app)
    {
        using var response = await _client.GetAsync(At(path), Token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var forwarded = Assert.Single(_host.Sidecar.Forwards);
        Assert.Equal((app, path), (forwarded.App, forwarded.PathAndQuery));
    }

    [Theory]
    [InlineData("/v1/identity/registrations")]
    [InlineData("/v1/identity/token")]
    [InlineData("/v1/identity/node-enrolments")]
    public async Task What_comes_before_credentials_is_open_and_keeps_its_proof(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("a=b", Encoding.UTF8, "application/x-www-form-urlencoded") };
        request.Headers.Add("DPoP", "proof");
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer something");

        using var response = await _anonymous.SendAsync(request, Token);

        var forwarded = Assert.Single(_host.Sidecar.Forwards);
        Assert.Equal(("proof", "a=b"), (forwarded.Headers["DPoP"], forwarded.Body));
        Assert.False(forwarded.Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task An_error_body_of_a_service_arrives_as_it_was()
    {
        using var content = new StringContent("");
        using var response = await _anonymous.PostAsync(At("/v1/identity/token"), content, Token);

        Assert.Equal((HttpStatusCode.BadRequest, """{"error":"invalid_grant"}"""), (response.StatusCode, await response.Content.ReadAsStringAsync(Token)));
        using var problem = await _client.GetAsync(At("/v1/credits/refused"), Token);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, problem.StatusCode);
        Assert.Contains("No credits.", await problem.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/credits")]
    [InlineData("/v1/identity/me")]
    [InlineData("/v1/identity/token/more")]
    [InlineData("/v1/modules")]
    [InlineData("/v1/jobs")]
    [InlineData("/v1/nodes")]
    public async Task Everything_else_needs_credentials(string path)
    {
        using var response = await _anonymous.GetAsync(At(path), Token);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Empty(_host.Sidecar.Forwards);
    }

    [Theory]
    [InlineData("/internal/probe")]
    [InlineData("/INTERNAL/probe")]
    [InlineData("/%69nternal/probe")]
    [InlineData("/v1/../internal/probe")]
    [InlineData("/internal/jobs")]
    [InlineData("/dapr/subscribe")]
    [InlineData("/v1/node/probe")]
    public async Task Internal_and_node_routes_do_not_exist_in_public(string target)
    {
        var status = await RawAsync(_host.Gateway, target);

        Assert.Equal("404", status);
        Assert.Empty(_host.Sidecar.Forwards);
    }

    [Theory]
    [InlineData("/v1/jobs/..%2f..%2finternal%2fjobs")]
    [InlineData("/v1/jobs/%2e%2e%2f%2e%2e%2finternal")]
    [InlineData("/v1/jobs/%252e%252e%252finternal")]
    [InlineData("/v1/jobs//internal")]
    [InlineData("/v1/jobs/..\\internal")]
    [InlineData("/v1/jobs/a%0d%0ab")]
    public async Task Paths_that_a_later_hop_could_read_differently_are_refused(string target)
    {
        var device = _host.NewDevice();
        var token = device.Token();
        var path = new Uri(_host.Gateway, target).AbsolutePath;

        var status = await RawAsync(_host.Gateway, target, $"Authorization: DPoP {token}\r\nDPoP: {device.Proof("GET", new Uri(_host.Gateway + path.TrimStart('/')), token)}\r\n");

        Assert.Contains(status, new[] { "400", "401", "404" });
        Assert.Empty(_host.Sidecar.Forwards);
    }

    [Fact]
    public async Task Each_door_has_its_own_routes()
    {
        Assert.Equal("200", await RawAsync(_host.AppUrl, "/internal/probe"));
        Assert.Equal("404", await RawAsync(_host.AppUrl, "/v1/credits"));
        Assert.Equal("404", await RawAsync(_host.AppUrl, "/.well-known/agent-card.json"));
        Assert.Equal("404", await RawAsync(_host.AppUrl, "/v1/node/probe"));
        Assert.Equal("200", await RawAsync(_host.AppUrl, "/healthz"));
        Assert.Equal("200", await RawAsync(_host.Gateway, "/healthz"));
        Assert.Equal("200", await RawAsync(_host.Gateway, "/.well-known/agent-card.json"));
    }

    [Fact]
    public async Task Headers_that_steer_the_sidecar_are_taken_off()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/credits");
        request.Headers.Add("dapr-app-id", "identity");
        request.Headers.Add("dapr-caller-app-id", "scheduler");
        request.Headers.Add("Dapr-Api-Token", "stolen");

        using var response = await _client.SendAsync(request, Token);

        Assert.DoesNotContain(Assert.Single(_host.Sidecar.Forwards).Headers.Keys, name => name.StartsWith("dapr", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task A_service_that_is_down_is_a_503_with_a_remedy()
    {
        _host.Sidecar.Unreachable["ledger"] = true;

        using var response = await _client.GetAsync(At("/v1/credits"), Token);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        var body = await response.Content.ReadAsStringAsync(Token);
        Assert.Contains("Try again", body, StringComparison.Ordinal);
        Assert.DoesNotContain("ERR_", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_oversized_body_is_a_413_that_names_the_uploads(bool isChunked)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/modules") { Content = new ByteArrayContent(new byte[(1024 * 1024) + 1]) };
        request.Headers.TransferEncodingChunked = isChunked;

        using var response = await _client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("/v1/uploads", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    /// <summary>Sends the target byte for byte: HttpClient would tidy it up. Gives the status.</summary>
    private static async Task<string> RawAsync(Uri server, string target, string headers = "")
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(server.Host, server.Port, Token);
        await using var stream = tcp.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET {target} HTTP/1.1\r\nHost: {server.Authority}\r\n{headers}Connection: close\r\n\r\n"), Token);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        return (await reader.ReadLineAsync(Token))!.Split(' ')[1];
    }
}
