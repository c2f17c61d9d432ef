using System.Net;
using System.Text.Json;
using Dapr;
using Dapr.Client;
using Grpc.Core;

namespace RenderTrust.Sidecar.Tests;

/// <summary>Health, metadata, secrets, tokens, shutdown, and the refusals of what is not served.</summary>
public sealed class SidecarApiTests : IAsyncDisposable
{
    private readonly SidecarRig rig = new();

    [Fact]
    public async Task Outbound_health_is_ready_before_the_app_and_health_only_with_it()
    {
        var app = rig.AddApp("late");
        await rig.StartAsync(untilReady: false);
        using var dapr = Client(app);

        Assert.True(await dapr.CheckOutboundHealthAsync(Token));
        Assert.False(await dapr.CheckHealthAsync(Token));
        await using var late = await HostedTestApp.StartAsync(app.AppPort, _ => { });
        await Wait.UntilAsync("the app is ready", () => dapr.CheckHealthAsync(Token));
        using var other = await rig.Client.GetAsync($"{app.Http}/v1.0/healthz?appid=other", Token);
        Assert.Equal(HttpStatusCode.InternalServerError, other.StatusCode);
    }

    [Fact]
    public async Task Metadata_names_the_app_and_its_components_and_keeps_what_is_put()
    {
        rig.Component("cache", "state.in-memory");
        rig.Component("hidden", "state.in-memory", scopes: "someone-else");
        var app = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var dapr = Client(app);
        await dapr.SetMetadataAsync("color", "blue", Token);
        using var put = await rig.Client.PutAsync($"{app.Http}/v1.0/metadata/size", new StringContent("7"), Token);
        var metadata = await dapr.GetMetadataAsync(Token);
        using var json = JsonDocument.Parse(await rig.Client.GetStringAsync($"{app.Http}/v1.0/metadata", Token));

        Assert.Equal(HttpStatusCode.NoContent, put.StatusCode);
        Assert.Equal("one", metadata.Id);
        Assert.Equal(["cache"], metadata.Components.Select(component => component.Name));
        Assert.Equal("blue", metadata.Extended["color"]);
        Assert.Equal("7", json.RootElement.GetProperty("extended").GetProperty("size").GetString());
    }

    [Fact]
    public async Task Secrets_come_from_the_environment_and_from_a_file_but_never_daprs_own()
    {
        rig.Component("env", "secretstores.local.env");
        rig.Component("file", "secretstores.local.file", metadata: SidecarRig.Setting("secretsFile", "../secrets.json"));
        var app = rig.AddApp("one", extra: "    env: {MY_SECRET: hush, DAPR_HIDDEN: no}\n", withPort: false);
        await File.WriteAllTextAsync(Path.Combine(rig.Root, "secrets.json"), """{"db":{"password":"pw"},"plain":"text"}""", Token);
        await rig.StartAsync();
        using var dapr = Client(app);

        Assert.Equal("hush", (await dapr.GetSecretAsync("env", "MY_SECRET", cancellationToken: Token))["MY_SECRET"]);
        Assert.Equal("pw", (await dapr.GetSecretAsync("file", "db:password", cancellationToken: Token))["db:password"]);
        Assert.Contains("plain", (await dapr.GetBulkSecretAsync("file", cancellationToken: Token)).Keys);
        Assert.Equal("""{"plain":"text"}""", await rig.Client.GetStringAsync($"{app.Http}/v1.0/secrets/file/plain", Token));
        Assert.Equal("", (await dapr.GetSecretAsync("env", "DAPR_HIDDEN", cancellationToken: Token))["DAPR_HIDDEN"]);
        Assert.Equal("", (await dapr.GetSecretAsync("env", "NOT_SET_ANYWHERE", cancellationToken: Token))["NOT_SET_ANYWHERE"]);
        using var missing = await rig.Client.GetAsync($"{app.Http}/v1.0/secrets/file/none", Token);
        using var unknown = await rig.Client.GetAsync($"{app.Http}/v1.0/secrets/nowhere/none", Token);
        await StateContract.AssertErrorAsync(missing, 500, "ERR_SECRET_GET");
        await StateContract.AssertErrorAsync(unknown, 401, "ERR_SECRET_STORE_NOT_FOUND");
    }

    [Fact]
    public async Task Components_take_their_settings_from_secrets()
    {
        rig.Component("env", "secretstores.local.env");
        rig.Resource("scoped", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: scoped}
            spec:
              type: state.in-memory
              version: v1
              metadata:
                - name: keyPrefix
                  secretKeyRef: {name: PREFIX_SECRET, key: PREFIX_SECRET}
            auth: {secretStore: env}
            """);
        var app = rig.AddApp("one", extra: "    env: {PREFIX_SECRET: none}\n", withPort: false);
        await rig.StartAsync();
        using var dapr = Client(app);
        await dapr.SaveStateAsync("scoped", "k", 1, cancellationToken: Token);

        Assert.Equal(1, await dapr.GetStateAsync<int>("scoped", "k", cancellationToken: Token));
    }

    [Fact]
    public async Task With_a_token_set_callers_must_show_it_except_for_health()
    {
        await using var guarded = new SidecarRig { DaprApiToken = "sesame" };
        guarded.Component("cache", "state.in-memory");
        var app = guarded.AddApp("one", withPort: false);
        await guarded.StartAsync();
        using var with = new DaprClientBuilder().UseHttpEndpoint(app.Http).UseGrpcEndpoint(app.Grpc).UseDaprApiToken("sesame").Build();
        using var without = new DaprClientBuilder().UseHttpEndpoint(app.Http).UseGrpcEndpoint(app.Grpc).UseDaprApiToken("wrong").Build();

        await with.SaveStateAsync("cache", "k", 1, cancellationToken: Token);
        var failure = await Assert.ThrowsAsync<DaprException>(() => without.SaveStateAsync("cache", "k", 2, cancellationToken: Token));
        Assert.Equal(StatusCode.Unauthenticated, ((RpcException)failure.InnerException!).StatusCode);
        using var refused = await guarded.Client.GetAsync($"{app.Http}/v1.0/state/cache/k", Token);
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid api token"), (refused.StatusCode, await refused.Content.ReadAsStringAsync(Token)));
        using var invoke = await guarded.Client.GetAsync($"{app.Http}/v1.0/invoke/one/method/x", Token);
        Assert.Equal(HttpStatusCode.Unauthorized, invoke.StatusCode);
        using var health = await guarded.Client.GetAsync($"{app.Http}/v1.0/healthz", Token);
        Assert.Equal(HttpStatusCode.NoContent, health.StatusCode);
    }

    [Fact]
    public async Task Rpcs_that_are_not_served_answer_unimplemented()
    {
        var app = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var dapr = Client(app);

        var configuration = await Assert.ThrowsAsync<DaprException>(() => dapr.GetConfiguration("c", ["k"], cancellationToken: Token));
        Assert.Equal(StatusCode.Unimplemented, ((RpcException)configuration.InnerException!).StatusCode);
#pragma warning disable CS0618, DAPR_DISTRIBUTEDLOCK // The alpha call is the point.
        var locking = await Assert.ThrowsAnyAsync<Exception>(() => dapr.Lock("store", "r", "o", 5, Token));
#pragma warning restore CS0618, DAPR_DISTRIBUTEDLOCK
        Assert.Equal(StatusCode.Unimplemented, ((locking as RpcException) ?? (RpcException)locking.InnerException!).StatusCode);
    }

    [Fact]
    public async Task Shutdown_asks_the_host_to_end()
    {
        var app = rig.AddApp("one", withPort: false);
        await rig.StartAsync();
        using var dapr = Client(app);
        await dapr.ShutdownSidecarAsync(Token);

        await rig.Host!.Lifetime.StopRequested.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static DaprClient Client(RigApp app) => new DaprClientBuilder().UseHttpEndpoint(app.Http).UseGrpcEndpoint(app.Grpc).Build();
}
