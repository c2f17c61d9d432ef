using System.Net;
using System.Text.Json.Nodes;

namespace RenderTrust.A2A.Tests;

public sealed class JsonRpcTests : IAsyncLifetime
{
    private AgentHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await AgentHost.StartAsync();

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private static string Send(string text) =>
        """{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"@"}]}}}""".Replace("@", text, StringComparison.Ordinal);

    [Theory]
    [InlineData("\"abc\"")]
    [InlineData("7")]
    [InlineData("1e2")]
    [InlineData("null")]
    public async Task The_id_is_echoed_as_it_came(string id)
    {
        var text = await _host.TextAsync("""{"jsonrpc":"2.0","id":@,"method":"GetTask","params":{"id":"t1"}}""".Replace("@", id, StringComparison.Ordinal));

        Assert.Equal("""{"jsonrpc":"2.0","id":@,"result":{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_WORKING"}}}""".Replace("@", id, StringComparison.Ordinal), text);
    }

    [Theory]
    [InlineData("{", -32700)]
    [InlineData("", -32700)]
    [InlineData("[]", -32600)]
    [InlineData("""[{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"t1"}}]""", -32600)]
    [InlineData("3", -32600)]
    [InlineData("""{"jsonrpc":"2.0","method":"GetTask","params":{"id":"t1"}}""", -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":{},"method":"GetTask"}""", -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":true,"method":"GetTask"}""", -32600)]
    [InlineData("""{"jsonrpc":"1.0","id":1,"method":"GetTask"}""", -32600)]
    [InlineData("""{"id":1,"method":"GetTask"}""", -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":1}""", -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":5}""", -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"Nope"}""", -32601)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"message/send","params":{}}""", -32601)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask"}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":["t1"]}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":5}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"t1","historyLength":-1}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"","role":"ROLE_USER","parts":[{"text":"x"}]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_BOSS","parts":[{"text":"x"}]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"x"}]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x","url":"y"}]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[null]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{}}""", -32004)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{"pageSize":0}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig","params":{"taskId":"t1","url":"http://x"}}""", -32003)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTaskPushNotificationConfig","params":{"taskId":"t1","id":"p"}}""", -32003)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"ListTaskPushNotificationConfigs","params":{"taskId":"t1"}}""", -32003)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"DeleteTaskPushNotificationConfig","params":{"taskId":"t1","id":"p"}}""", -32003)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard"}""", -32004)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"nope"}}""", -32001)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"CancelTask","params":{"id":"t1"}}""", -32002)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SubscribeToTask","params":{"id":"nope"}}""", -32001)]
    public async Task Refusals_are_json_rpc_errors_with_http_200(string body, int code)
    {
        using var response = await _host.PostAsync(body);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal(code, (int)answer["error"]!["code"]!);
        Assert.True(answer.AsObject().ContainsKey("id"));
        Assert.False(answer.AsObject().ContainsKey("result"));
    }

    [Fact]
    public async Task An_unknown_task_is_refused_exactly_like_this()
    {
        var text = await _host.TextAsync("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}""");

        Assert.Equal(
            """{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Task 'x' is not known. Check the id, and that you use the account that submitted it.","data":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_FOUND","domain":"a2a-protocol.org","metadata":{"taskId":"x"}}]}}""",
            text);
    }

    [Fact]
    public async Task Wrong_members_are_named_by_their_path()
    {
        var bad = """{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"},{"raw":"$"}]}}}""";

        var answer = JsonNode.Parse(await _host.TextAsync(bad))!;

        var violation = answer["error"]!["data"]![0]!["fieldViolations"]![0]!;
        Assert.Equal(("message.parts[1].raw", "The string is not base64."), ((string)violation["field"]!, (string)violation["description"]!));
    }

    [Theory]
    [InlineData(null, "0.3")]
    [InlineData("", "0.3")]
    [InlineData("0.3", "0.3")]
    [InlineData("2.0", "2.0")]
    [InlineData("1", "1")]
    public async Task Other_versions_are_refused_with_the_remedy(string? header, string requested)
    {
        var answer = JsonNode.Parse(await _host.TextAsync(Send("x"), header))!;

        Assert.Equal(-32009, (int)answer["error"]!["code"]!);
        Assert.Contains("A2A-Version: 1.0", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
        Assert.Equal(requested, (string)answer["error"]!["data"]![0]!["metadata"]!["requestedVersion"]!);
    }

    [Fact]
    public async Task A_patch_number_and_the_query_spelling_are_accepted()
    {
        Assert.Contains("\"result\"", await _host.TextAsync(Send("x"), "1.0.1"), StringComparison.Ordinal);
        using var byQuery = await _host.PostAsync(Send("x"), null, path: "/a2a/?A2A-Version=1.0");
        Assert.Contains("\"result\"", await byQuery.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_content_type_is_refused()
    {
        var answer = JsonNode.Parse(await _host.TextAsync(Send("x"), contentType: "text/plain"))!;

        Assert.Equal(-32005, (int)answer["error"]!["code"]!);
    }

    [Fact]
    public async Task An_oversized_body_is_a_413_that_says_the_limit()
    {
        await using var small = await AgentHost.StartAsync(options => options.MaxRequestBytes = 1024);

        using var response = await small.PostAsync(Send(new string('x', 2000)));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal(-32602, (int)answer["error"]!["code"]!);
        Assert.Contains("1024 bytes", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deep_nesting_is_refused_as_unreadable()
    {
        var text = await _host.TextAsync(string.Concat(Enumerable.Repeat("[", 500)));

        Assert.Contains("-32700", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_fault_tells_the_trace_and_nothing_else()
    {
        var answer = await _host.TextAsync(Send("explode"));

        Assert.Contains("-32603", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Known_extensions_are_activated_and_echoed_and_others_ignored()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/a2a") { Content = new StringContent(Send("x"), System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Add("A2A-Version", "1.0");
        request.Headers.Add("A2A-Extensions", "urn:unknown,urn:known");

        using var response = await _host.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal("urn:known", Assert.Single(response.Headers.GetValues("A2A-Extensions")));
        Assert.Equal(["urn:known"], _host.Agent.LastCall!.Extensions);
    }

    [Fact]
    public async Task A_required_extension_must_be_listed()
    {
        await using var strict = await AgentHost.StartAsync(options => options.RequiredExtensions.Add("urn:known"));

        Assert.Contains("-32008", await strict.TextAsync(Send("x")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_card_is_cached_by_its_entity_tag()
    {
        using var first = await _host.Http.GetAsync(new Uri("/.well-known/agent-card.json", UriKind.Relative), TestContext.Current.CancellationToken);
        using var again = new HttpRequestMessage(HttpMethod.Get, "/.well-known/agent-card.json");
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await _host.Http.SendAsync(again, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal("public, max-age=300", first.Headers.CacheControl!.ToString());
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
        Assert.Empty(await second.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }
}
