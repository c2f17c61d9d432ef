using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>Requests that are too large, malformed or out of order.</summary>
public sealed class BadRequestTests(PlatformFixture platform) : IAsyncLifetime
{
    private int _faultsBefore;
    private RenderTrustClient _creator = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await platform.StartAsync();
        _faultsBefore = platform.Faults.Count;
        _creator = await platform.NewCreatorAsync("Clumsy");
    }

    public ValueTask DisposeAsync()
    {
        Assert.Empty(platform.Faults.Skip(_faultsBefore));
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Oversized_bodies_are_refused_with_the_limit_and_the_way_out()
    {
        var huge = await _creator.PostRpcAsync(Wire.Bytes(new byte[3 * 1024 * 1024], "application/json"));
        Assert.Equal(413, huge.Status);
        huge.AssertRefused(-32602, "REQUEST_TOO_LARGE", "2097152", "upload");

        var job = await RawJob.SealAsync(_creator, Token, fillBytes: 1_100_000);
        (await job.SubmitAsync(_creator)).AssertRefused(-32602, "INLINE_TOO_LARGE", "1048576", "/v1/uploads");

        (await _creator.SendAsync(HttpMethod.Post, "/v1/credits/top-ups", Wire.Json("{\"topUpId\":\"" + new string('x', 1_500_000) + "\"}"))).AssertProblem(413, "1048576");
        (await TusAsync(HttpMethod.Post, "/v1/uploads", null, ("Upload-Length", $"{1L << 60}"), ("Upload-Metadata", BadJobTests.Sha256Metadata([1])))).AssertProblem(413);
    }

    [Theory]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,", -32700, "JSON")]
    [InlineData("not json at all", -32700, "JSON")]
    [InlineData("", -32700, "JSON")]
    [InlineData("[]", -32600, "")]
    [InlineData("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":{}}]", -32600, "")]
    [InlineData("42", -32600, "")]
    [InlineData("{\"id\":1,\"method\":\"GetTask\"}", -32600, "jsonrpc")]
    [InlineData("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"GetTask\"}", -32600, "jsonrpc")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600, "method")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"GetTask\"}", -32600, "id")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"EatTask\"}", -32601, "EatTask")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"message/send\"}", -32601, "SendMessage")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\"}", -32602, "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":[1]}", -32602, "")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":{\"id\":7}}", -32602, "id")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":{\"id\":\"\"}}", -32602, "id")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":{\"id\":\"no-guid\"}}", -32001, "no-guid")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{}}", -32602, "message")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{\"message\":{\"messageId\":\"a\",\"role\":\"ROLE_USER\",\"parts\":[]}}}", -32602, "message.parts")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{\"message\":{\"messageId\":\"a\",\"role\":\"ROLE_KING\",\"parts\":[{\"text\":\"x\"}]}}}", -32602, "role")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{\"message\":{\"messageId\":\"a\",\"role\":\"ROLE_USER\",\"parts\":[{\"text\":\"x\",\"raw\":\"AA==\"}]}}}", -32602, "message.parts[0]")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{\"message\":{\"messageId\":\"a\",\"role\":\"ROLE_USER\",\"parts\":[{\"raw\":\"%%\"}]}}}", -32602, "raw")]
    public async Task A_malformed_call_is_answered_with_the_codes_of_json_rpc(string body, int code, string says) =>
        (await _creator.PostRpcAsync(Wire.Json(body))).AssertRefused(code, null, says);

    [Fact]
    public async Task Deep_nesting_and_broken_text_are_parse_errors()
    {
        (await _creator.PostRpcAsync(Wire.Json(new string('[', 100_000)))).AssertRefused(-32700, null);
        (await _creator.PostRpcAsync(Wire.Bytes([0xff, 0xfe, 0x00], "application/json"))).AssertRefused(-32700, null);
        (await _creator.PostRpcAsync(Wire.Bytes("<xml/>"u8.ToArray(), "application/xml"))).AssertRefused(-32005, null, "application/xml", "application/json");
    }

    [Fact]
    public async Task A_version_that_is_not_served_is_named()
    {
        var call = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = 1, ["method"] = "GetTask", ["params"] = new JsonObject { ["id"] = "x" } }.ToJsonString();

        (await _creator.SendAsync(HttpMethod.Post, "/a2a", Wire.Json(call), (A2AHeaders.Version, "7.3"))).AssertRefused(-32009, null, "7.3", "1.0");
    }

    [Theory]
    [InlineData("GET", "/v1/jobs/no-guid", null, 400)]
    [InlineData("GET", "/v1/jobs?cursor=%00nonsense", null, 400)]
    [InlineData("GET", "/v1/credits/entries?jobId=no-guid", null, 400)]
    [InlineData("POST", "/v1/credits/top-ups", "{", 400)]
    [InlineData("POST", "/v1/credits/top-ups", "{}", 400)]
    [InlineData("POST", "/v1/credits/top-ups", "{\"topUpId\":\"0193f7a0-0000-7000-8000-000000000001\",\"amountMicrocredits\":-5}", 400)]
    [InlineData("POST", "/v1/credits/top-ups", "{\"topUpId\":\"0193f7a0-0000-7000-8000-000000000001\",\"amountMicrocredits\":\"many\"}", 400)]
    [InlineData("POST", "/v1/identity/api-keys", "{\"name\":\"x\",\"scopes\":[\"everything\"]}", 422)]
    [InlineData("POST", "/v1/identity/api-keys", "{\"name\":\"\",\"scopes\":[]}", 400)]
    [InlineData("POST", "/v1/identity/node-tokens", "{\"nodeName\":\"x\",\"expiresInSeconds\":1}", 400)]
    [InlineData("POST", "/v1/identity/registrations", "{\"displayName\":\"x\"}", 400)]
    [InlineData("POST", "/v1/modules", "{\"name\":\"BAD NAME\"}", 400)]
    [InlineData("GET", "/v1/modules/BAD%20NAME/1", null, null)]
    [InlineData("GET", "/v1/modules/povray/one", null, null)]
    [InlineData("GET", "/v1/identity/key-statements?kind=alien", null, 400)]
    [InlineData("GET", "/v1/blobs/no-hash", null, null)]
    [InlineData("GET", "/v1/nothing", null, 404)]
    [InlineData("GET", "/internal/books", null, 404)]
    [InlineData("GET", "/v1/jobs/..%2f..%2finternal%2fbooks", null, null)]
    [InlineData("DELETE", "/v1/credits", null, null)]
    public async Task A_bad_rest_request_is_a_problem_and_no_fault(string method, string path, string? body, int? status)
    {
        var answer = await _creator.SendAsync(new HttpMethod(method), path, body is null ? null : Wire.Json(body));

        Assert.True(answer.Status is >= 400 and < 500, answer.ToString());
        answer.AssertProblem(status ?? answer.Status);
    }

    [Fact]
    public async Task Uploads_out_of_order_are_refused_with_where_they_stand()
    {
        var job = await RawJob.SealAsync(_creator, Token, fillBytes: 200_000);
        var lie = await TusAsync(HttpMethod.Post, "/v1/uploads", null, ("Upload-Length", $"{job.Asset.Length}"), ("Upload-Metadata", BadJobTests.Sha256Metadata([1, 2, 3])));
        Assert.Equal(201, lie.Status);
        var place = new Uri(platform.Gateway, lie.Headers.Split('\n').First(header => header.StartsWith("Location: ", StringComparison.Ordinal))["Location: ".Length..]).AbsolutePath;
        Task<Answer> PatchAsync(int offset, byte[] bytes) => TusAsync(HttpMethod.Patch, place, Wire.Bytes(bytes, "application/offset+octet-stream"), ("Upload-Offset", $"{offset}"));

        (await PatchAsync(100, job.Asset[..50])).AssertProblem(409, "100", "0");
        (await PatchAsync(0, [.. job.Asset, 1])).AssertProblem(413);
        (await TusAsync(HttpMethod.Patch, place, Wire.Bytes(job.Asset, "image/png"), ("Upload-Offset", "0"))).AssertProblem(415, "image/png");
        (await PatchAsync(0, job.Asset)).AssertProblem(460);
        Assert.Equal(404, (await TusAsync(HttpMethod.Head, place, null)).Status);
        (await TusAsync(HttpMethod.Post, "/v1/uploads", null, ("Upload-Length", "100"))).AssertProblem(400, "sha256");
        (await TusAsync(HttpMethod.Post, "/v1/uploads", null, ("Upload-Metadata", BadJobTests.Sha256Metadata([1])))).AssertProblem(400, "Upload-Length");
        (await _creator.SendAsync(HttpMethod.Post, "/v1/uploads", null, ("Upload-Length", "100"))).AssertProblem(412, "1.0.0");
    }

    [Fact]
    public async Task Headers_that_steer_the_sidecar_are_ours_alone()
    {
        var answer = await _creator.SendAsync(HttpMethod.Get, "/v1/credits", null, ("dapr-app-id", "identity"), ("dapr-caller-app-id", "scheduler"), ("dapr-api-token", "guess"));

        Assert.Equal(200, answer.Status);
        Assert.Contains("availableMicrocredits", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_agent_answers_plain_text_and_shows_its_card_to_anyone()
    {
        var message = RawJob.MessageOf([new JsonObject { ["text"] = "What do you do?" }]);

        // The gateway hears of the module by an event, moments after `up` has published it.
        await Wait.ForAsync(
            async () => (await _creator.CallAsync("SendMessage", message)).Json.GetProperty("result").GetProperty("message").GetProperty("parts")[0].GetProperty("text").GetString()!,
            text => text.Contains("povray@", StringComparison.Ordinal));

        using var http = new HttpClient();
        var card = await http.GetStringAsync(new Uri(platform.Gateway, "/.well-known/agent-card.json"), Token);
        Assert.Contains("\"protocolVersion\":\"1.0\"", card, StringComparison.Ordinal);
    }

    private Task<Answer> TusAsync(HttpMethod method, string path, HttpContent? content, params (string Name, string Value)[] headers) =>
        _creator.SendAsync(method, path, content, [("Tus-Resumable", "1.0.0"), .. headers]);
}
