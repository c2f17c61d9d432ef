using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.State;

/// <summary>What the state API refuses, and in which words.</summary>
public sealed class StateErrorTests(World world)
{
    private const string Item = """[{"key":"k","value":1}]""";
    private const string Bulk = """{"keys":["k"]}""";
    private const string Transaction = """{"operations":[{"operation":"upsert","request":{"key":"k","value":1}}]}""";

    /// <summary>Verb, path after the store's name, body.</summary>
    public static TheoryData<string, string, string> Calls => new()
    {
        { "POST", "", Item },
        { "GET", "/k", "" },
        { "DELETE", "/k", "" },
        { "POST", "/bulk", Bulk },
        { "POST", "/transaction", Transaction },
    };

    [Theory, MemberData(nameof(Calls))]
    public async Task An_unknown_store_is_a_400(string verb, string path, string body) =>
        (await SendAsync(world.Main, verb, "/v1.0/state/nowhere" + path, body)).IsError(400, "ERR_STATE_STORE_NOT_FOUND");

    [Theory, MemberData(nameof(Calls))]
    public async Task An_app_without_any_store_gets_a_500(string verb, string path, string body) =>
        (await SendAsync(world.Bare, verb, "/v1.0/state/memory" + path, body)).IsError(500, "ERR_STATE_STORE_NOT_CONFIGURED");

    [Theory]
    [InlineData("", "{")]
    [InlineData("", "\"text\"")]
    [InlineData("/bulk", "[")]
    [InlineData("/transaction", "nothing")]
    public async Task A_body_that_cannot_be_read_is_a_400(string path, string body) =>
        (await world.Main.PostAsync("/v1.0/state/memory" + path, body)).IsError(400, "ERR_MALFORMED_REQUEST");

    [Theory]
    [InlineData("POST", "", """[{"key":"a||b","value":1}]""")]
    [InlineData("GET", "/a%7C%7Cb", "")]
    [InlineData("DELETE", "/a%7C%7Cb", "")]
    public async Task A_key_with_two_bars_is_a_400(string verb, string path, string body) =>
        Assert.Equal(400, (await SendAsync(world.Main, verb, "/v1.0/state/memory" + path, body)).Status);

    [Fact]
    public async Task An_etag_that_the_store_cannot_read_is_a_400()
    {
        (await world.Main.PostAsync("/v1.0/state/postgres", """[{"key":"k","value":1,"etag":"no-etag"}]""")).IsError(400, "ERR_STATE_SAVE");
        (await world.Main.DeleteAsync("/v1.0/state/postgres/k", ("If-Match", "no-etag"))).IsError(400, "ERR_STATE_DELETE");
    }

    [Fact]
    public async Task A_transaction_knows_no_other_operations() =>
        (await world.Main.PostAsync("/v1.0/state/memory/transaction", """{"operations":[{"operation":"increment","request":{"key":"k"}}]}""")).Is(400);

    [Fact]
    public async Task Errors_name_the_store_and_carry_details_where_daprd_has_them()
    {
        var answer = await world.Main.GetAsync("/v1.0/state/nowhere/k");

        Assert.Contains("nowhere", (string?)answer.Json["message"], StringComparison.Ordinal);
        Assert.Equal(Differences.ErrorsHaveDetails.Expected, answer.Json["details"] is not null);
    }

    private static Task<Answer> SendAsync(DaprSidecar sidecar, string verb, string path, string body) =>
        verb == "POST" ? sidecar.PostAsync(path, body) : sidecar.SendAsync(verb, path);
}
