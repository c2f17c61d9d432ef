using System.Text;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Invoke;

/// <summary>/v1.0/invoke: what goes to the app and what comes back from it.</summary>
public sealed class InvokeTests(World world)
{
    private const string Path = "/v1.0/invoke/conformance/method";

    private DaprSidecar Dapr => world.Main;

    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("PATCH")]
    [InlineData("OPTIONS")]
    public async Task This_verb_reaches_the_app(string verb) =>
        Assert.Equal(verb, (string?)(await Dapr.SendAsync(verb, Path + "/echo")).Is(200).Json["method"]);

    [Fact]
    public async Task Head_reaches_the_app_and_has_no_body()
    {
        var answer = (await Dapr.SendAsync("HEAD", Path + "/echo")).Is(200);

        Assert.Empty(answer.Bytes);
        Assert.Equal("yes", answer.Header("x-echo"));
    }

    [Theory]
    [InlineData("/echo")]
    [InlineData("/echo/a/b/c")]
    [InlineData("/echo?a=1&b=x%20y&a=2")]
    [InlineData("/echo/deep?empty=&last")]
    public async Task Path_and_query_arrive_as_they_were_sent(string target) =>
        Assert.Equal(target, (string?)(await Dapr.GetAsync(Path + target)).Is(200).Json["target"]);

    [Theory]
    [InlineData("x-custom", "value")]
    [InlineData("accept", "text/x-special")]
    [InlineData("authorization", "Bearer abc")]
    [InlineData("if-none-match", "\"1\"")]
    public async Task This_header_reaches_the_app(string name, string value) =>
        Assert.Equal(value, (string?)(await Dapr.SendAsync("GET", Path + "/echo", headers: (name, value))).Is(200).Json["headers"]![name]);

    [Theory]
    [InlineData("dapr-caller-app-id", "conformance-bare")]
    [InlineData("dapr-callee-app-id", "conformance")]
    [InlineData("dapr-caller-namespace", "default")]
    public async Task The_app_learns_who_calls_whom(string header, string value) =>
        Assert.Equal(value, (string?)(await world.Bare.GetAsync(Path + "/echo")).Is(200).Json["headers"]![header]);

    [Fact]
    public async Task A_trace_goes_along_and_one_is_made_where_there_is_none()
    {
        var given = await Dapr.SendAsync("GET", Path + "/echo", headers: ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        var made = await Dapr.GetAsync(Path + "/echo");

        Assert.Equal("0af7651916cd43dd8448eb211c80319c", ((string)given.Json["headers"]!["traceparent"]!).Split('-')[1]);
        Assert.Equal(4, ((string)made.Json["headers"]!["traceparent"]!).Split('-').Length);
    }

    [Theory]
    [InlineData("application/json", 2)]
    [InlineData("text/plain; charset=utf-8", 1000)]
    [InlineData("application/octet-stream", 1_000_000)]
    [InlineData("image/x-exr", 70_000)]
    public async Task Bodies_pass_unchanged_both_ways(string contentType, int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);

        var answer = (await Dapr.SendAsync("POST", Path + "/mirror", bytes, contentType)).Is(200);

        Assert.Equal(bytes, answer.Bytes);
        Assert.Equal(contentType, answer.Header("Content-Type"));
    }

    [Theory]
    [InlineData(201)]
    [InlineData(202)]
    [InlineData(204)]
    [InlineData(302)]
    [InlineData(304)]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(409)]
    [InlineData(418)]
    [InlineData(422)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(501)]
    [InlineData(503)]
    public async Task The_apps_status_is_the_callers_status(int status)
    {
        var answer = (await Dapr.GetAsync($"{Path}/status/{status}")).Is(status);

        Assert.Equal($"{status}", answer.Header("x-status"));
        Assert.Equal(status is 204 or 304 ? "" : $"the app says {status}", answer.Body);
        Assert.Equal(status == 302 ? "/echo/elsewhere" : null, answer.Header("Location"));
    }

    [Fact]
    public async Task The_apps_headers_reach_the_caller()
    {
        var answer = (await Dapr.GetAsync(Path + "/echo")).Is(200);

        Assert.Equal(("yes", "one,two", "c=1"), (answer.Header("x-echo"), answer.Header("x-many"), answer.Header("Set-Cookie")));
    }

    [Fact]
    public async Task An_unknown_app_is_a_500_that_says_so()
    {
        var answer = await Dapr.GetAsync("/v1.0/invoke/nobody-at-all/method/echo");

        answer.IsError(500, "ERR_DIRECT_INVOKE");
        Assert.Contains("nobody-at-all", (string?)answer.Json["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_app_that_does_not_listen_is_a_500() => (await Dapr.GetAsync("/v1.0/invoke/conformance-bare/method/echo")).IsError(500, "ERR_DIRECT_INVOKE");

    [Fact]
    public async Task A_path_without_a_method_is_a_404() => (await Dapr.GetAsync("/v1.0/invoke/conformance/nothing/here")).IsError(404, "ERR_DIRECT_INVOKE");

    [Fact]
    public async Task The_app_can_be_named_in_a_header() =>
        Assert.Equal("/echo/by-header?q=1", (string?)(await world.Bare.SendAsync("GET", "/echo/by-header?q=1", headers: ("dapr-app-id", "conformance"))).Is(200).Json["target"]);

    [Fact]
    public async Task The_app_can_be_named_as_the_user_of_basic_authentication()
    {
        var user = Convert.ToBase64String(Encoding.ASCII.GetBytes("dapr-app-id:conformance"));

        Assert.Equal("/echo/by-user", (string?)(await world.Bare.SendAsync("GET", "/echo/by-user", headers: ("Authorization", "Basic " + user))).Is(200).Json["target"]);
    }
}
