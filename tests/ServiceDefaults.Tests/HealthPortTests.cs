using System.Net;
using Microsoft.Extensions.Configuration;
using RenderTrust.TestKit;

namespace RenderTrust.ServiceDefaults.Tests;

public sealed class HealthPortTests
{
    [Theory]
    [InlineData("/healthz", HttpStatusCode.OK)]
    [InlineData("/v1/credits", HttpStatusCode.NotFound)]
    [InlineData("/internal/books", HttpStatusCode.NotFound)]
    [InlineData("/dapr/subscribe", HttpStatusCode.NotFound)]
    [InlineData("/healthz/../internal/books", HttpStatusCode.NotFound)]
    public async Task The_health_port_answers_health_and_nothing_else(string path, HttpStatusCode expected)
    {
        var port = TestPorts.Free();
        await using var host = await ServiceHost.StartAsync(new() { ["APP_PORT"] = $"{TestPorts.Free()}", ["HEALTH_PORT"] = $"{port}" });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}{path}");
        request.Headers.Add("dapr-api-token", "secret");

        using var probe = new HttpClient();
        using var answer = await probe.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(expected, answer.StatusCode);
    }

    [Theory]
    [InlineData("APP_PORT")]
    [InlineData("HEALTH_PORT")]
    public void What_is_no_port_is_refused_by_name(string name)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["APP_API_TOKEN"] = "x", [name] = "70000" }).Build();

        var exception = Assert.Throws<InvalidOperationException>(() => ServiceApp.Read("ledger", configuration));

        Assert.Contains(name, exception.Message, StringComparison.Ordinal);
        Assert.Contains("70000", exception.Message, StringComparison.Ordinal);
    }
}
