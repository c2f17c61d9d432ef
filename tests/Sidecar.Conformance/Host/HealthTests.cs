using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Host;

/// <summary>Health, unknown paths, and the end.</summary>
public sealed class HealthTests(World world)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/v1.0/healthz", 204)]
    [InlineData("/v1.0/healthz/outbound", 204)]
    [InlineData("/v1.0/healthz?appid=conformance", 204)]
    [InlineData("/v1.0/healthz?appid=another", 500)]
    [InlineData("/v1.0/no-such-thing", 404)]
    public async Task This_path_answers_this(string path, int status) => (await world.Main.GetAsync(path)).Is(status);

    [Fact]
    public async Task The_sdk_finds_it_healthy()
    {
        Assert.True(await world.Main.Sdk.CheckHealthAsync(Token));
        Assert.True(await world.Main.Sdk.CheckOutboundHealthAsync(Token));
        await world.Main.Sdk.WaitForSidecarAsync(Token);
    }

    [Fact]
    public async Task While_its_app_does_not_listen_a_sidecar_serves_but_is_not_ready()
    {
        (await world.Waiting.GetAsync("/v1.0/healthz/outbound")).Is(204);
        (await world.Waiting.GetAsync("/v1.0/metadata")).Is(200);
        (await world.Waiting.GetAsync("/v1.0/healthz")).Is(500);
    }

    [Fact]
    public async Task After_shutdown_nothing_listens_any_more()
    {
        (await world.Leaving.PostAsync("/v1.0/shutdown", "")).Is(204);

        await Wait.UntilAsync("nothing listens", async () =>
        {
            try
            {
                await world.Leaving.GetAsync("/v1.0/healthz");
                return false;
            }
            catch (HttpRequestException)
            {
                return true;
            }
        });
    }
}
