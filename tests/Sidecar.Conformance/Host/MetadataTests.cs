using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Host;

/// <summary>What a sidecar tells about itself.</summary>
public sealed class MetadataTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_names_the_app() => Assert.Equal("conformance", (string?)(await Dapr.GetAsync("/v1.0/metadata")).Is(200).Json["id"]);

    [Fact]
    public async Task It_names_the_version_of_the_runtime() =>
        Assert.StartsWith("1.18", (string?)(await Dapr.GetAsync("/v1.0/metadata")).Json["runtimeVersion"], StringComparison.Ordinal);

    [Theory]
    [InlineData("memory", "state.in-memory")]
    [InlineData("postgres", "state.postgresql")]
    [InlineData("pubsub", "pubsub.redis")]
    [InlineData("file", "secretstores.local.file")]
    [InlineData("ticks", "bindings.cron")]
    public async Task It_names_this_component_with_its_type(string name, string type) => Assert.Equal(type, (string?)(await ComponentsAsync(Dapr)).Single(c => (string?)c!["name"] == name)!["type"]);

    [Theory]
    [InlineData("postgres", "ETAG")]
    [InlineData("postgres", "TRANSACTIONAL")]
    [InlineData("postgres", "ACTOR")]
    [InlineData("memory", "TTL")]
    public async Task This_store_has_this_capability(string name, string capability) =>
        Assert.Contains(capability, (await ComponentsAsync(Dapr)).Single(c => (string?)c!["name"] == name)!["capabilities"]!.AsArray().Select(c => (string?)c));

    [Fact]
    public async Task Components_of_other_apps_are_not_named() => Assert.Empty(await ComponentsAsync(world.Bare));

    [Theory]
    [InlineData("plain", "PROGRAMMATIC")]
    [InlineData("declared", "DECLARATIVE")]
    public async Task It_names_this_subscription_with_its_kind(string topic, string kind)
    {
        var all = (await Dapr.GetAsync("/v1.0/metadata")).Json["subscriptions"]!.AsArray();

        Assert.Equal(kind, (string?)all.Single(s => (string?)s!["topic"] == topic)!["type"]);
    }

    [Fact]
    public async Task It_names_the_apps_port() =>
        Assert.Equal(Dapr.AppPort, (int)(await Dapr.GetAsync("/v1.0/metadata")).Json["appConnectionProperties"]!["port"]!);

    [Fact]
    public async Task It_counts_the_active_actors()
    {
        (await Dapr.PutAsync("/v1.0/actors/Plain/counted/method/echo", "{}")).Is(200);

        var types = (await Dapr.GetAsync("/v1.0/metadata")).Json["actorRuntime"]!["activeActors"]!.AsArray();

        Assert.True((int)types.Single(t => (string?)t!["type"] == "Plain")!["count"]! >= 1);
    }

    [Fact]
    public async Task What_is_put_is_told_again()
    {
        (await Dapr.PutAsync("/v1.0/metadata/over-http", "one", "text/plain")).Is(204);
        await Dapr.Rpc.SetMetadataAsync(new Rpc.SetMetadataRequest { Key = "over-grpc", Value = "two" });
        await Dapr.Sdk.SetMetadataAsync("over-sdk", "three", Token);

        var extended = (await Dapr.GetAsync("/v1.0/metadata")).Json["extended"]!;

        Assert.Equal(("one", "two", "three"), ((string?)extended["over-http"], (string?)extended["over-grpc"], (string?)extended["over-sdk"]));
    }

    [Fact]
    public async Task The_rpc_tells_the_same()
    {
        var got = await Dapr.Rpc.GetMetadataAsync(new Rpc.GetMetadataRequest());

        Assert.Equal("conformance", got.Id);
        Assert.StartsWith("1.18", got.RuntimeVersion, StringComparison.Ordinal);
        Assert.Contains(got.RegisteredComponents, component => component is { Name: "memory", Type: "state.in-memory" });
        Assert.Contains(got.Subscriptions, subscription => subscription is { PubsubName: "pubsub", Topic: "plain" });
        Assert.Equal(Dapr.AppPort, got.AppConnectionProperties.Port);
    }

    [Fact]
    public async Task The_sdk_reads_it() => Assert.Contains((await Dapr.Sdk.GetMetadataAsync(Token)).Components, component => component.Name == "postgres");

    private static async Task<System.Text.Json.Nodes.JsonArray> ComponentsAsync(DaprSidecar sidecar) =>
        (await sidecar.GetAsync("/v1.0/metadata")).Is(200).Json["components"]?.AsArray() ?? [];
}
