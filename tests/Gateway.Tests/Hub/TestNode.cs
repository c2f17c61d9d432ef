using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>A node as the hub sees it: sends what a test says and keeps all that comes.</summary>
internal sealed class TestNode : IDisposable
{
    private readonly GrpcChannel channel;
    private readonly AsyncDuplexStreamingCall<NodeFrame, HubFrame> call;
    private readonly ConcurrentQueue<HubFrame> frames = new();
    private readonly TaskCompletionSource<Status> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TestNode(GrpcChannel channel)
    {
        this.channel = channel;
        call = new EdgeProtocol.Hub.HubClient(channel).Connect();
    }

    public static Capabilities Capabilities => new() { Slots = 2, CpuCount = 4, MemoryBytes = 1 << 30, ScratchBytes = 1 << 28, Runner = "simulate", AgentVersion = "0.1.0" };

    public long Epoch { get; private set; }

    public IReadOnlyList<HubFrame> Frames => [.. frames];

    public Task<Status> Ended => ended.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    public async Task<TestNode> OpenAsync(Hello? hello = null)
    {
        await SendAsync(new NodeFrame { Hello = hello ?? new Hello { Capabilities = Capabilities } });
        Read();
        Epoch = (await NextAsync(frame => frame.Welcome)).Epoch;
        return this;
    }

    /// <summary>Starts to take frames; a node that never calls this is one that reads too slowly.</summary>
    public void Read() => _ = ReadAsync();

    public Task SendAsync(NodeFrame frame) => call.RequestStream.WriteAsync(frame);

    public Task AcknowledgeAsync(EdgeProtocol.LeaseOffer offer, bool accepted = true, string reason = "", long? fencingToken = null) => SendAsync(new NodeFrame
    {
        LeaseAck = new LeaseAck { AttemptId = offer.AttemptId, FencingToken = fencingToken ?? offer.FencingToken, Accepted = accepted, Reason = reason },
    });

    /// <summary>The frame of one kind that is at place <paramref name="index"/> among its kind, once it has come.</summary>
    public async Task<T> NextAsync<T>(Func<HubFrame, T?> pick, int index = 0)
        where T : class
    {
        T? found = null;
        await Wait.ForAsync(
            () =>
            {
                found = frames.Select(pick).Where(frame => frame is not null).ElementAtOrDefault(index);
                return found is not null || ended.Task.IsCompleted;
            },
            done => done);
        return found ?? throw new InvalidOperationException($"The stream ended before a {typeof(T).Name} came: {await ended.Task}");
    }

    public void Dispose()
    {
        call.Dispose();
        channel.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
                frames.Enqueue(call.ResponseStream.Current);
            }

            ended.TrySetResult(call.GetStatus());
        }
        catch (RpcException exception)
        {
            ended.TrySetResult(exception.Status);
        }
        catch (ObjectDisposedException)
        {
            ended.TrySetResult(Status.DefaultCancelled);
        }
    }
}

internal static class Leases
{
    public static Contracts.LeaseOffer Offer(NodeId node, long epoch, TenantId? tenant = null, string? manifest = null, params string[] assets) => new(
        node, epoch, AttemptId.New(), FencingToken: 17, Slot: 0, tenant ?? TenantId.New(), JobId.New(), new TaskId(Guid.CreateVersion7()), UnitIndex: 3, UnitCount: 8, AttemptNumber: 1,
        "povray@1.0.0", new ModuleRuntime("127.0.0.1:5000/povray", "sha256:" + new string('a', 64), DeviceKind.Cpu, 256, 64, 64, 64, 1),
        new AssetRef(Guid.CreateVersion7(), manifest ?? new string('b', 64), 100), [.. assets.Select(sha256 => new AssetRef(Guid.CreateVersion7(), sha256, 100))],
        [new AssetGrant(Guid.CreateVersion7(), "key-1", new byte[65], new byte[48])], 60, DateTimeOffset.UtcNow.AddMinutes(5));

    public static NodeFrame Result(AttemptId attempt, long fencingToken = 17) => new()
    {
        Result = new UnitResult
        {
            AttemptId = attempt.ToString(), FencingToken = fencingToken, Succeeded = true, MeteredMilliseconds = 1234,
            Outputs =
            {
                new Output
                {
                    AssetId = Guid.CreateVersion7().ToString("D"), BlobSha256 = new string('c', 64), SizeBytes = 10, KeyedHash = new string('d', 64),
                },
            },
        },
    };
}
