using System.Text.Json.Nodes;
using RenderTrust.Sidecar.Conformance.PubSub;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Javascript;

/// <summary>One run of checks.cjs; its findings are the cases.</summary>
public sealed class JavascriptRun(World world) : IAsyncLifetime
{
    internal string Mark { get; } = EnvelopeTests.NewMark();

    internal JsonNode Said { get; private set; } = new JsonObject();

    public async ValueTask InitializeAsync() => Said = await NodeProgram.RunAsync("checks.cjs", new
    {
        appId = world.Js.AppId, appPort = world.Js.AppPort, httpPort = world.Js.HttpPort, grpcPort = world.Js.GrpcPort, mark = Mark,
    });

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>Dapr's JavaScript SDK as app and client: an implementation that is neither ours nor .NET.</summary>
public sealed class JavascriptTests(JavascriptRun run) : IClassFixture<JavascriptRun>
{
    [Theory]
    [InlineData("publishByHttp", "1")]
    [InlineData("publishByGrpc", "2")]
    [InlineData("publishMany", """{"failed":0,"heard":[1,2]}""")]
    [InlineData("retry", "3")]
    [InlineData("invoke", """{"said":{"word":"hello"},"query":"/echo?a=1"}""")]
    [InlineData("metadata", """{"id":"conformance-js","extended":"was here"}""")]
    [InlineData("metadataByGrpc", "\"conformance-js\"")]
    [InlineData("health", "true")]
    [InlineData("healthByGrpc", "true")]
    [InlineData("actor", "5")]
    [InlineData("reminder", "\"about r\"")]
    [InlineData("timer", "\"tock\"")]
    public void The_javascript_sdk_sees_this(string check, string expected) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), run.Said[check]), run.Said[check]?.ToJsonString());

    [Theory]
    [InlineData("stateByHttp", "http")]
    [InlineData("stateByGrpc", "grpc")]
    public void The_javascript_sdk_saves_reads_and_deletes_state(string check, string protocol)
    {
        var said = run.Said[check]!;
        Assert.True(said is JsonObject, said.ToJsonString());

        Assert.Equal(7, (int)said["saved"]!["number"]!);
        Assert.Equal([$"{run.Mark}-{protocol}", $"{run.Mark}-{protocol}-2"], said["bulk"]!.AsArray().Select(key => (string?)key));
        Assert.Equal("three", (string?)said["added"]);
        Assert.All(new[] { "removed", "deleted" }, name => Assert.True(said[name] is null || said[name]!.ToString().Length == 0, said.ToJsonString()));
    }
}
