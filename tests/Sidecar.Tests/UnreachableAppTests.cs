using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Tests;

/// <summary>An app that is so stuck that connecting to it takes too long.</summary>
public sealed class UnreachableAppTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_that_is_not_taken_in_time_is_an_app_that_cannot_be_reached()
    {
        // Its queue is full: what connects now waits for an answer that never comes.
        using var stuck = new Socket(SocketType.Stream, ProtocolType.Tcp);
        stuck.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        stuck.Listen(0);
        using var first = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await first.ConnectAsync(stuck.LocalEndPoint!, Token);
        using var client = new AppClient(new SidecarTokens(null, ""));
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{stuck.LocalEndPoint}/events");

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(request, Token));

        Assert.Contains("was not taken within 5 s", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task In_memory_deliveries_go_on_after_a_call_that_was_given_up()
    {
        await using var broker = new InMemoryBroker(new InMemoryBus(), TimeProvider.System, NullLogger.Instance);
        var calls = 0;
        var delivered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var subscription = await broker.SubscribeAsync(
            new Dictionary<string, BrokerHandler>
            {
                ["topic"] = (_, _) =>
                {
                    if (Interlocked.Increment(ref calls) == 1)
                    {
                        throw new TaskCanceledException("connecting took too long");
                    }

                    delivered.SetResult();
                    return Task.FromResult(true);
                },
            },
            Token);

        await broker.PublishAsync("topic", "1"u8.ToArray(), new Dictionary<string, string>(), Token);

        await delivered.Task.WaitAsync(TimeSpan.FromSeconds(60), Token);
    }
}
