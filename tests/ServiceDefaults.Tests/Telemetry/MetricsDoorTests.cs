using System.Net;
using System.Net.Http.Headers;
using RenderTrust.TestKit;

namespace RenderTrust.ServiceDefaults.Tests.Telemetry;

public sealed class MetricsDoorTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Who_shows_the_token_reads_metrics_on_the_app_port_and_on_the_health_port()
    {
        var (app, health) = (TestPorts.Free(), TestPorts.Free());
        await using var host = await ServiceHost.StartAsync(new() { ["APP_PORT"] = $"{app}", ["HEALTH_PORT"] = $"{health}", ["METRICS_TOKEN"] = "let-me-see" });

        foreach (var port in new[] { app, health })
        {
            using var answer = await GetAsync(port, "let-me-see");

            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.StartsWith("text/plain", answer.Content.Headers.ContentType!.ToString(), StringComparison.Ordinal);
            Assert.Contains("# TYPE target_info gauge", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("let-me-see", null)]
    [InlineData("let-me-see", "let-me-see-not")]
    [InlineData(null, null)]
    [InlineData(null, "secret")]
    public async Task Without_the_token_nobody_reads_them_and_hears_why(string? token, string? shown)
    {
        var app = TestPorts.Free();
        await using var host = await ServiceHost.StartAsync(new() { ["APP_PORT"] = $"{app}", ["METRICS_TOKEN"] = token });

        using var answer = await GetAsync(app, shown);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Contains("METRICS_TOKEN", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task On_a_developers_machine_no_token_is_needed()
    {
        var app = TestPorts.Free();
        await using var host = await ServiceHost.StartAsync(new() { ["APP_PORT"] = $"{app}", ["RENDERTRUST_ENVIRONMENT"] = "Development" });

        using var answer = await GetAsync(app, null);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task At_any_other_door_there_are_no_metrics()
    {
        var elsewhere = TestPorts.Free();
        await using var host = await ServiceHost.StartAsync(new()
        {
            ["APP_PORT"] = $"{TestPorts.Free()}", ["METRICS_TOKEN"] = "let-me-see", ["Kestrel:Endpoints:Public:Url"] = $"http://127.0.0.1:{elsewhere}",
        });

        using var answer = await GetAsync(elsewhere, "let-me-see");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    private static async Task<HttpResponseMessage> GetAsync(int port, string? token)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/metrics");
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return await http.SendAsync(request, Token);
    }
}
