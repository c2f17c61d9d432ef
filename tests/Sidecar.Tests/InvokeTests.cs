using System.Net;
using System.Net.Http.Json;
using System.Text;
using Dapr.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace RenderTrust.Sidecar.Tests;

public sealed class InvokeTests : IAsyncLifetime
{
    private readonly SidecarRig rig = new();
    private RigApp caller = null!;
    private RigApp callee = null!;
    private readonly System.Threading.Channels.Channel<string> heard = System.Threading.Channels.Channel.CreateUnbounded<string>();
    private readonly System.Threading.Channels.Channel<string> said = System.Threading.Channels.Channel.CreateUnbounded<string>();
    private HostedTestApp app = null!;
    private int waiting;
    private int aborted;

    public async ValueTask InitializeAsync()
    {
        caller = rig.AddApp("caller", withPort: false);
        callee = rig.AddApp("callee");
        app = await HostedTestApp.StartAsync(callee.AppPort, web =>
        {
            web.Map("/echo/{**rest}", async context =>
            {
                using var reader = new StreamReader(context.Request.Body);
                var body = await reader.ReadToEndAsync();
                context.Response.StatusCode = 203;
                context.Response.Headers["x-answer"] = new(["one", "two"]);
                await context.Response.WriteAsJsonAsync(new Echo(
                    context.Request.Method, context.Features.Get<IHttpRequestFeature>()!.RawTarget, body,
                    context.Request.Headers.ToDictionary(h => h.Key.ToLowerInvariant(), h => h.Value.ToString())));
            });
            web.MapPost("/count", async context =>
            {
                long total = 0;
                var buffer = new byte[64 * 1024];
                int read;
                while ((read = await context.Request.Body.ReadAsync(buffer)) > 0)
                {
                    total += read;
                }

                await context.Response.WriteAsync($"{total}");
            });
            web.MapPost("/hear", async context =>
            {
                var buffer = new byte[100];
                int read;
                while ((read = await context.Request.Body.ReadAsync(buffer)) > 0)
                {
                    await heard.Writer.WriteAsync(Encoding.UTF8.GetString(buffer, 0, read));
                }
            });
            web.MapGet("/events", async context =>
            {
                context.Response.ContentType = "text/event-stream";
                await context.Response.Body.FlushAsync();
                await foreach (var line in said.Reader.ReadAllAsync(context.RequestAborted))
                {
                    await context.Response.WriteAsync(line + "\n");
                    await context.Response.Body.FlushAsync();
                }
            });
            web.MapGet("/wait", async context =>
            {
                Interlocked.Increment(ref waiting);
                try
                {
                    await Task.Delay(Timeout.Infinite, context.RequestAborted);
                }
                catch (OperationCanceledException)
                {
                    Interlocked.Increment(ref aborted);
                }
            });
            web.MapGet("/break", async context =>
            {
                context.Response.ContentLength = 1000;
                await context.Response.WriteAsync("half");
                await context.Response.Body.FlushAsync();
                context.Abort();
            });
            web.MapGet("/internal/secret", () => "secret");
        });
        await rig.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        await app.DisposeAsync();
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("PATCH")]
    [InlineData("OPTIONS")]
    [InlineData("QUERY")]
    public async Task A_call_with_any_verb_arrives_as_it_was_sent(string verb)
    {
        using var request = new HttpRequestMessage(new HttpMethod(verb), $"{caller.Http}/v1.0/invoke/callee/method/echo/a%2Fb/c?x=%20y&z=1");
        request.Headers.Add("x-custom", "ä-value");
        request.Headers.Authorization = new("Bearer", "abc");
        request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        if (verb is "POST" or "PUT" or "PATCH")
        {
            request.Content = new StringContent("the body", Encoding.UTF8, "text/special");
        }

        using var client = new HttpClient(new SocketsHttpHandler { RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8 });
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        var echo = await response.Content.ReadFromJsonAsync<Echo>(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NonAuthoritativeInformation, response.StatusCode);
        Assert.Equal(["one", "two"], response.Headers.GetValues("x-answer"));
        Assert.Equal(verb, echo!.Method);
        Assert.Equal("/echo/a%2Fb/c?x=%20y&z=1", echo.Target);
        Assert.Equal("ä-value", echo.Headers["x-custom"]);
        Assert.Equal("Bearer abc", echo.Headers["authorization"]);
        Assert.StartsWith("00-0af7651916cd43dd8448eb211c80319c-", echo.Headers["traceparent"], StringComparison.Ordinal);
        Assert.Equal("caller", echo.Headers["dapr-caller-app-id"]);
        Assert.Equal("callee", echo.Headers["dapr-callee-app-id"]);
        Assert.Equal("token-of-the-apps", echo.Headers["dapr-api-token"]);
        if (request.Content is not null)
        {
            Assert.Equal("the body", echo.Body);
            Assert.Equal("text/special; charset=utf-8", echo.Headers["content-type"]);
        }
    }

    [Fact]
    public async Task A_caller_cannot_say_who_it_is()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{caller.Http}/v1.0/invoke/callee/method/echo/x");
        request.Headers.Add("dapr-caller-app-id", "gateway");
        request.Headers.Add("dapr-api-token", "guess");
        using var response = await rig.Client.SendAsync(request, TestContext.Current.CancellationToken);
        var echo = await response.Content.ReadFromJsonAsync<Echo>(TestContext.Current.CancellationToken);

        Assert.Equal("caller", echo!.Headers["dapr-caller-app-id"]);
        Assert.Equal("token-of-the-apps", echo.Headers["dapr-api-token"]);
    }

    [Fact]
    public async Task The_header_form_calls_the_named_app_at_any_path()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{caller.Http}/echo/there?q=1");
        request.Headers.Add("dapr-app-id", "callee");
        using var response = await rig.Client.SendAsync(request, TestContext.Current.CancellationToken);
        var echo = await response.Content.ReadFromJsonAsync<Echo>(TestContext.Current.CancellationToken);

        Assert.Equal("/echo/there?q=1", echo!.Target);
    }

    [Fact]
    public async Task The_basic_auth_form_calls_the_named_app_at_any_path()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{caller.Http}/echo/there");
        request.Headers.Authorization = new("Basic", Convert.ToBase64String("dapr-app-id:callee"u8));
        using var response = await rig.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NonAuthoritativeInformation, response.StatusCode);
    }

    [Fact]
    public async Task The_dotnet_client_invokes_by_url()
    {
        using var client = DaprClient.CreateInvokeHttpClient("callee", caller.Http);
        var echo = await client.GetFromJsonAsync<Echo>("/echo/sdk", TestContext.Current.CancellationToken);

        Assert.Equal("/echo/sdk", echo!.Target);
    }

    [Fact]
    public async Task Dot_segments_cannot_leave_the_path_that_a_proxy_checked()
    {
        // Sent raw: HttpClient would resolve the dots itself.
        var text = await RawAsync(caller.HttpPort, "GET /v1.0/invoke/callee/method/v1/%2e%2e/internal/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        var other = await RawAsync(caller.HttpPort, "GET /v1.0/invoke/callee/method/../../other/method/internal/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        // Kestrel has resolved the dots before the app is chosen, so what is called is what the log and the proxy see.
        Assert.Contains("secret", text, StringComparison.Ordinal);
        Assert.Contains("ERR_", other, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_body_reaches_the_app_while_the_caller_still_sends()
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, caller.HttpPort, TestContext.Current.CancellationToken);
        await using var stream = client.GetStream();
        await stream.WriteAsync("POST /v1.0/invoke/callee/method/hear HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\none\r\n"u8.ToArray(), TestContext.Current.CancellationToken);

        Assert.Equal("one", await heard.Reader.ReadAsync(TestContext.Current.CancellationToken));
        await stream.WriteAsync("3\r\ntwo\r\n0\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("two", await heard.Reader.ReadAsync(TestContext.Current.CancellationToken));
        using var reader = new StreamReader(stream);
        Assert.StartsWith("HTTP/1.1 200", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_reaches_the_caller_while_the_app_still_writes()
    {
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/events", HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        // The head is here although the app has written nothing of the body yet.
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        foreach (var line in new[] { "one", "two" })
        {
            await said.Writer.WriteAsync(line, TestContext.Current.CancellationToken);
            Assert.Equal(line, await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        }

        said.Writer.Complete();
        Assert.Null(await reader.ReadLineAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_app_hears_that_its_caller_has_gone()
    {
        using var abort = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var call = rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/wait", abort.Token);
        await Wait.UntilAsync("the call has reached the app", () => waiting > 0);
        await abort.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await Wait.UntilAsync("the app saw the abort", () => aborted > 0);
    }

    [Fact]
    public async Task A_body_within_the_limit_passes_and_a_larger_one_is_refused_with_the_remedy()
    {
        using var fits = new ByteArrayContent(new byte[4 * 1024 * 1024]);
        using var fine = await rig.Client.PostAsync($"{caller.Http}/v1.0/invoke/callee/method/count", fits, TestContext.Current.CancellationToken);
        Assert.Equal($"{4 * 1024 * 1024}", await fine.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        // Asks before it sends: a client that is still sending when the refusal comes may lose it with the connection.
        using var large = new HttpRequestMessage(HttpMethod.Post, $"{caller.Http}/v1.0/invoke/callee/method/count") { Content = new ByteArrayContent(new byte[(4 * 1024 * 1024) + 1]) };
        large.Headers.ExpectContinue = true;
        using var refused = await rig.Client.SendAsync(large, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.StatusCode);
        Assert.Contains("maxBodySize", await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_does_not_look_whole()
    {
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => rig.Client.GetStringAsync($"{caller.Http}/v1.0/invoke/callee/method/break", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_unknown_app_is_a_direct_invoke_error()
    {
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/nobody/method/x", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains("ERR_DIRECT_INVOKE", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_without_a_method_is_refused()
    {
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("ERR_DIRECT_INVOKE", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Blocks_that_are_not_served_say_so()
    {
        foreach (var path in new[] { "/v1.0/configuration/c?key=a", "/v1.0-alpha1/lock/l", "/v1.0/jobs/j" })
        {
            using var response = await rig.Client.PostAsync(caller.Http + path, null, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.NotImplemented, response.StatusCode);
            Assert.Contains("ERR_NOT_IMPLEMENTED", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
    }

    private static async Task<string> RawAsync(int port, string request)
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream());
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    private sealed record Echo(string Method, string Target, string Body, Dictionary<string, string> Headers);
}
