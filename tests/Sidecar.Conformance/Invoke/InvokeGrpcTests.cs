using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;
using Verb = Dapr.Client.Autogen.Grpc.v1.HTTPExtension.Types.Verb;

namespace RenderTrust.Sidecar.Conformance.Invoke;

/// <summary>The InvokeService rpc, to an app that speaks HTTP.</summary>
public sealed class InvokeGrpcTests(World world)
{
    [Theory]
    [InlineData(Verb.Post, "POST")]
    [InlineData(Verb.Put, "PUT")]
    [InlineData(Verb.Get, "GET")]
    [InlineData(Verb.Delete, "DELETE")]
    public async Task The_call_reaches_the_app_with_this_verb(Verb verb, string seen)
    {
        var answer = await world.Main.Rpc.InvokeServiceAsync(Request("conformance", "echo/path", verb));

        var echo = System.Text.Json.Nodes.JsonNode.Parse(answer.Data.Value.ToStringUtf8())!;
        Assert.Equal((seen, "/echo/path?a=1"), ((string?)echo["method"], (string?)echo["target"]));
        Assert.StartsWith("application/json", answer.ContentType, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_body_arrives_with_its_content_type()
    {
        var answer = await world.Main.Rpc.InvokeServiceAsync(Request("conformance", "echo", Verb.Post));

        var echo = System.Text.Json.Nodes.JsonNode.Parse(answer.Data.Value.ToStringUtf8())!;
        Assert.Equal(("hello", "text/plain"), ((string?)echo["body"], (string?)echo["headers"]!["content-type"]));
    }

    [Theory]
    [InlineData("nobody-at-all", "echo")]
    [InlineData("conformance", "status/500")]
    [InlineData("conformance", "status/404")]
    public Task An_unknown_app_or_an_apps_refusal_is_an_error(string app, string method) =>
        Assert.ThrowsAsync<RpcException>(() => world.Main.Rpc.InvokeServiceAsync(Request(app, method, Verb.Post)).ResponseAsync);

    private static Rpc.InvokeServiceRequest Request(string app, string method, Verb verb) => new()
    {
        Id = app,
        Message = new Rpc.InvokeRequest
        {
            Method = method,
            Data = new Any { Value = ByteString.CopyFromUtf8(verb == Verb.Get ? "" : "hello") },
            ContentType = "text/plain",
            HttpExtension = new Rpc.HTTPExtension { Verb = verb, Querystring = "a=1" },
        },
    };
}
