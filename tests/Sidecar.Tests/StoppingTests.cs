using System.Diagnostics;
using Dapr.Client.Autogen.Grpc.v1;
using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using DaprGrpc = Dapr.Client.Autogen.Grpc.v1.Dapr;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;

namespace RenderTrust.Sidecar.Tests;

/// <summary>A host that is told to end while apps hold streams open. Its own limits end it (calls 5 s, apps 10 s), so that nobody has to kill it.</summary>
public sealed class StoppingTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("rt-stopping-").FullName;
    private readonly int grpcPort = TestPorts.Free();
    private Process? sidecar;
    private GrpcChannel? channel;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "components.yaml"), $$"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: bus}
            spec: {type: pubsub.in-memory, version: v1, metadata: []}
            ---
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: state}
            spec:
              type: state.postgresql
              version: v2
              metadata: [{name: connectionString, value: "{{PostgresStateTests.Libpq(database)}}"}, {name: actorStateStore, value: "true"}]
            """, Token);
        var httpPort = TestPorts.Free();
        sidecar = Process.Start(new ProcessStartInfo(
            "dotnet",
            [
                typeof(SidecarHost).Assembly.Location, "sidecar", "--app-id", $"stopping-{httpPort}", "--dapr-http-port", $"{httpPort}", "--dapr-grpc-port", $"{grpcPort}",
                "--resources-path", folder, "--log-level", "error",
            ]) { WorkingDirectory = folder })!;
        using var http = new HttpClient();
        await Wait.UntilAsync("the sidecar is ready", async () => (await http.GetAsync($"http://127.0.0.1:{httpPort}/v1.0/healthz", Token)).IsSuccessStatusCode);
        channel = GrpcChannel.ForAddress($"http://127.0.0.1:{grpcPort}");
    }

    public async ValueTask DisposeAsync()
    {
        channel?.Dispose();
        if (sidecar is { HasExited: false })
        {
            sidecar.Kill();
            await sidecar.WaitForExitAsync(CancellationToken.None);
        }

        sidecar?.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Open_streams_end_and_so_does_the_host()
    {
        var dapr = new DaprGrpc.DaprClient(channel!);
        using var idle = await SubscribeAsync(dapr, "idle");
        using var busy = await SubscribeAsync(dapr, "busy");
        using var work = new Hub(channel!).GetWorkItems(new GetWorkItemsRequest(), cancellationToken: Token);
        await work.ResponseHeadersAsync;

        // One event is with its app, which has not said what became of it: the host must not wait for that.
        await dapr.PublishEventAsync(new PublishEventRequest { PubsubName = "bus", Topic = "busy", Data = Google.Protobuf.ByteString.CopyFromUtf8("1") }, cancellationToken: Token);
        Assert.True(await busy.ResponseStream.MoveNext(Token));

        Signals.SendAlone(sidecar!.Id, Signals.Terminate);

        // Three times what the host allows itself: it bounds a test that would hang and is no claim about speed.
        await Task.WhenAll(AssertEndsAsync(idle.ResponseStream), AssertEndsAsync(busy.ResponseStream), AssertEndsAsync(work.ResponseStream)).WaitAsync(TimeSpan.FromSeconds(60), Token);
        await sidecar.WaitForExitAsync(Token).WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(0, sidecar.ExitCode);
    }

    private static async Task<AsyncDuplexStreamingCall<SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsResponseAlpha1>> SubscribeAsync(DaprGrpc.DaprClient dapr, string topic)
    {
        var stream = dapr.SubscribeTopicEventsAlpha1(cancellationToken: Token);
        await stream.RequestStream.WriteAsync(new SubscribeTopicEventsRequestAlpha1 { InitialRequest = new() { PubsubName = "bus", Topic = topic } }, Token);
        Assert.True(await stream.ResponseStream.MoveNext(Token));
        return stream;
    }

    /// <summary>In order, or as the connection ends: HTTP/2's NO_ERROR arrives as Unavailable or, in the middle of a message, as Internal.</summary>
    private static async Task AssertEndsAsync<T>(IAsyncStreamReader<T> stream)
    {
        try
        {
            // Health pings of work items may still be on their way.
            while (await stream.MoveNext(Token))
            {
            }
        }
        catch (RpcException e)
        {
            Assert.True(
                e.StatusCode == StatusCode.Unavailable || (e.StatusCode is StatusCode.Internal && e.Status.Detail.Contains("NO_ERROR", StringComparison.Ordinal)), e.ToString());
        }
    }
}
