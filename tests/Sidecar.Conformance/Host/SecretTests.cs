using Dapr;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Host;

/// <summary>Secret stores: file and environment, over HTTP, gRPC and the SDK.</summary>
public sealed class SecretTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    [Theory]
    [InlineData("file", "plain", """{"plain":"hush"}""")]
    [InlineData("file", "number", """{"number":"7"}""")]
    [InlineData("file", "db:user", """{"db:user":"ada"}""")]
    [InlineData("multi", "db", """{"user":"ada","password":"lovelace"}""")]
    [InlineData("environment", "CONFORMANCE_SECRET", """{"CONFORMANCE_SECRET":"whispered"}""")]
    public async Task A_secret_is_read_by_its_name(string store, string name, string value) =>
        Assert.Equal(value, (await Dapr.GetAsync($"/v1.0/secrets/{store}/{name}")).Is(200).Body);

    [Fact]
    public async Task All_secrets_of_a_store_are_read_at_once()
    {
        var all = (await Dapr.GetAsync("/v1.0/secrets/file/bulk")).Is(200).Json;

        Assert.Equal(("hush", "lovelace"), ((string?)all["plain"]!["plain"], (string?)all["db:password"]!["db:password"]));
    }

    [Fact]
    public async Task A_secret_that_the_file_does_not_have_is_a_500() => (await Dapr.GetAsync("/v1.0/secrets/file/none")).IsError(500, "ERR_SECRET_GET");

    [Fact]
    public async Task A_variable_that_is_not_set_reads_like_one_that_is_set_to_nothing() =>
        Assert.Equal("""{"CONFORMANCE_NO_SUCH_VARIABLE":""}""", (await Dapr.GetAsync("/v1.0/secrets/environment/CONFORMANCE_NO_SUCH_VARIABLE")).Is(200).Body);

    [Fact]
    public async Task What_belongs_to_dapr_itself_is_never_told()
    {
        const string name = "DAPR_CONFORMANCE_HIDDEN";
        var one = await Dapr.GetAsync($"/v1.0/secrets/environment/{name}");
        var all = (await Dapr.GetAsync("/v1.0/secrets/environment/bulk")).Is(200);

        Assert.DoesNotContain("never told", one.Body, StringComparison.Ordinal);
        Assert.Null(all.Json[name]);
    }

    [Fact]
    public async Task An_unknown_store_is_a_401() => (await Dapr.GetAsync("/v1.0/secrets/nowhere/plain")).IsError(401, "ERR_SECRET_STORE_NOT_FOUND");

    [Theory]
    [InlineData("plain")]
    [InlineData("bulk")]
    public async Task An_app_without_any_store_gets_a_500(string name) =>
        (await world.Bare.GetAsync($"/v1.0/secrets/file/{name}")).IsError(500, "ERR_SECRET_STORES_NOT_CONFIGURED");

    [Fact]
    public async Task The_rpcs_read_one_and_all()
    {
        var one = await Dapr.Rpc.GetSecretAsync(new Rpc.GetSecretRequest { StoreName = "multi", Key = "db" });
        var all = await Dapr.Rpc.GetBulkSecretAsync(new Rpc.GetBulkSecretRequest { StoreName = "file" });

        Assert.Equal("ada", one.Data["user"]);
        Assert.Equal("hush", all.Data["plain"].Secrets["plain"]);
    }

    [Fact]
    public async Task The_rpcs_refuse_as_http_does()
    {
        await Refusal.HasStatusAsync(StatusCode.InvalidArgument, Dapr.Rpc.GetSecretAsync(new Rpc.GetSecretRequest { StoreName = "nowhere", Key = "plain" }));
        await Refusal.HasStatusAsync(StatusCode.Internal, Dapr.Rpc.GetSecretAsync(new Rpc.GetSecretRequest { StoreName = "file", Key = "none" }));
        await Refusal.HasStatusAsync(StatusCode.FailedPrecondition, world.Bare.Rpc.GetSecretAsync(new Rpc.GetSecretRequest { StoreName = "file", Key = "plain" }));
    }

    [Fact]
    public async Task The_sdk_reads_secrets()
    {
        Assert.Equal("hush", (await Dapr.Sdk.GetSecretAsync("file", "plain", cancellationToken: TestContext.Current.CancellationToken))["plain"]);
        await Assert.ThrowsAsync<DaprException>(() => Dapr.Sdk.GetSecretAsync("nowhere", "plain", cancellationToken: TestContext.Current.CancellationToken));
    }
}
