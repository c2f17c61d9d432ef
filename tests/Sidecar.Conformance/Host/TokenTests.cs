using Grpc.Core;
using RenderTrust.Sidecar.Conformance.PubSub;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Host;

/// <summary>DAPR_API_TOKEN: what callers must show. APP_API_TOKEN: what the app is shown.</summary>
public sealed class TokenTests(World world)
{
    private static readonly (string, string) Shown = ("dapr-api-token", World.ApiToken);

    private DaprSidecar Dapr => world.Guarded;

    [Theory]
    [InlineData("GET", "/v1.0/state/memory/k", null)]
    [InlineData("GET", "/v1.0/state/memory/k", "wrong")]
    [InlineData("GET", "/v1.0/metadata", null)]
    [InlineData("POST", "/v1.0/publish/pubsub/plain", null)]
    [InlineData("GET", "/v1.0/invoke/conformance-guarded/method/echo", null)]
    [InlineData("PUT", "/v1.0/actors/Kept/1/method/echo", "wrong")]
    [InlineData("POST", "/v1.0/shutdown", null)]
    public async Task A_call_without_the_right_token_is_a_401(string verb, string path, string? token)
    {
        var answer = await Dapr.SendAsync(verb, path, headers: token is null ? [] : [("dapr-api-token", token)]);

        Assert.Equal("invalid api token", answer.Is(401).Body.Trim());
    }

    [Theory]
    [InlineData("/v1.0/healthz")]
    [InlineData("/v1.0/healthz/outbound")]
    public async Task Health_asks_for_no_token(string path) => (await Dapr.GetAsync(path)).Is(204);

    [Fact]
    public async Task With_the_token_calls_are_served() => (await Dapr.SendAsync("GET", "/v1.0/state/memory/none", headers: Shown)).Is(204);

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    public Task An_rpc_without_the_right_token_is_unauthenticated(string? token) => Refusal.HasStatusAsync(StatusCode.Unauthenticated,
        Dapr.Rpc.GetStateAsync(new Rpc.GetStateRequest { StoreName = "memory", Key = "k" }, token is null ? [] : new Metadata { { "dapr-api-token", token } }));

    [Fact]
    public async Task With_the_token_rpcs_are_served()
    {
        var got = await Dapr.Rpc.GetStateAsync(new Rpc.GetStateRequest { StoreName = "memory", Key = "none" }, new Metadata { { "dapr-api-token", World.ApiToken } });

        Assert.True(got.Data.IsEmpty);
    }

    [Fact]
    public async Task The_sdk_shows_the_token()
    {
        await Dapr.Sdk.SaveStateAsync("memory", "sdk", 1, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(1, await Dapr.Sdk.GetStateAsync<int>("memory", "sdk", cancellationToken: TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_invoked_app_sees_its_own_token_and_never_the_sidecars()
    {
        var answer = (await Dapr.SendAsync("GET", "/v1.0/invoke/conformance-guarded/method/echo", headers: Shown)).Is(200);

        Assert.Equal(World.AppToken, (string?)answer.Json["headers"]!["dapr-api-token"]);
    }

    [Fact]
    public async Task A_subscriber_sees_its_token()
    {
        var mark = EnvelopeTests.NewMark();
        (await Dapr.PostAsync("/v1.0/publish/pubsub/plain", $"\"{mark}\"", "application/json", Shown)).Is(204);

        Assert.Equal(World.AppToken, (await world.GuardedApp.EventsAsync("plain", mark))[0].Header("dapr-api-token"));
    }

    [Fact]
    public async Task An_actor_sees_its_token()
    {
        var answer = (await Dapr.SendAsync("PUT", "/v1.0/actors/Kept/1/method/echo", headers: Shown)).Is(200);

        Assert.Equal(World.AppToken, (string?)answer.Json["headers"]!["dapr-api-token"]);
    }

    [Theory]
    [InlineData("GET", "/dapr/config")]
    [InlineData("GET", "/dapr/subscribe")]
    [InlineData("OPTIONS", "/ticks")]
    [InlineData("POST", "/ticks")]
    public async Task This_call_of_the_sidecar_shows_the_token(string verb, string path)
    {
        var calls = await world.GuardedApp.ArrivedAsync(path, 1, request => request.Method == verb && request.Path == path);

        Assert.All(calls, call => Assert.Equal(World.AppToken, call.Header("dapr-api-token")));
    }
}
