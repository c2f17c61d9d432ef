using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.TestKit;

namespace RenderTrust.ServiceDefaults.Tests.Telemetry;

/// <summary>What a collector gets, by one that takes OTLP over HTTP and keeps the bodies.</summary>
public sealed class OtlpTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<(string Path, byte[] Body)> received = new();
    private readonly int port = TestPorts.Free();
    private WebApplication collector = null!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        collector = builder.Build();
        collector.MapPost("/v1/{signal}", async (HttpContext http) =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            received.Enqueue((http.Request.Path, body.ToArray()));
        });
        await collector.StartAsync(TestContext.Current.CancellationToken);
    }

    public ValueTask DisposeAsync() => collector.DisposeAsync();

    [Fact]
    public async Task A_request_reaches_the_collector_with_its_trace_under_the_callers_span()
    {
        await using (var host = await ServiceHost.StartAsync(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{port}", ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf", ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
        }))
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/internal/holds");
            request.Headers.Add("dapr-api-token", "secret");
            request.Headers.Add("dapr-caller-app-id", "scheduler");
            request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

            // One that writes no trace of its own over the header.
            using var http = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }) { BaseAddress = host.Http.BaseAddress };
            using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
            answer.EnsureSuccessStatusCode();

            // The span ends a little after its answer, and goes with the next batch.
            var end = DateTime.UtcNow.AddSeconds(30);
            while (!Hex().Contains("0af7651916cd43dd8448eb211c80319c", StringComparison.Ordinal) && DateTime.UtcNow < end)
            {
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }

        var (hex, text) = (Hex(), Encoding.Latin1.GetString(Sent()));
        Assert.Contains("0af7651916cd43dd8448eb211c80319c", hex, StringComparison.Ordinal);
        Assert.Contains("b7ad6b7169203331", hex, StringComparison.Ordinal);
        Assert.Contains("ledger", text, StringComparison.Ordinal);
        Assert.Contains("/internal/holds", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_endpoint_nothing_is_sent()
    {
        await using (var host = await ServiceHost.StartAsync())
        {
            using var answer = await host.SendAsync(HttpMethod.Get, "/internal/holds", apiToken: "secret", caller: "scheduler");
            answer.EnsureSuccessStatusCode();
        }

        Assert.Empty(received);
    }

    private byte[] Sent() => [.. received.Where(got => got.Path == "/v1/traces").SelectMany(got => got.Body)];

    private string Hex() => Convert.ToHexStringLower(Sent());
}
