using System.Collections.Concurrent;
using System.Diagnostics;
using Dapr.Workflow;
using Grpc.Core;
using RenderTrust.TaskHubProtocol;
using RenderTrust.WorkflowLoad;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>A workflow as its client knew it.</summary>
internal sealed record Lived(string InstanceId, string Shape, string? Output, DateTimeOffset EndedAt, TimeSpan Took);

/// <summary>One sidecar as clients reach it: the wire, and our own client on it.</summary>
internal sealed record Door(Hub Hub, DaprWorkflowClient Client);

/// <summary>
/// Clients that start workflows one after the other and wait for each end, whatever happens to the sidecars meanwhile. What was not answered is asked
/// again, at any of the doors. A start whose answer was lost is asked for under the same id; that the id is in use is then the answer.
/// </summary>
internal sealed class Starters(IReadOnlyList<Door> doors, int seed)
{
    private static readonly TimeSpan TryLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(50);

    private int begun;

    public ConcurrentQueue<Lived> Ended { get; } = new();

    /// <summary>Answers that no kill explains.</summary>
    public ConcurrentQueue<string> Complaints { get; } = new();

    /// <summary>Those that have no end yet, and what their client is about.</summary>
    public ConcurrentDictionary<string, string> Open { get; } = new();

    public Task RunAsync(int clients, CancellationToken stop, CancellationToken cancellationToken) => Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(
        async () =>
        {
            var random = new Random(seed + client);
            while (!stop.IsCancellationRequested)
            {
                var shape = Shapes.All[random.Next(Shapes.All.Count)];
                await LiveAsync($"{shape}-{Interlocked.Increment(ref begun)}", shape, random, cancellationToken);
            }
        },
        cancellationToken)));

    private async Task LiveAsync(string id, string shape, Random random, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        Open[id] = "starts it";
        await InsistAsync(random, async (door, token) =>
        {
            try
            {
                return (await door.Hub.StartInstanceAsync(new CreateInstanceRequest { InstanceId = id, Name = shape, EnforceUniqueInstanceId = true }, cancellationToken: token)).InstanceId;
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.AlreadyExists)
            {
                // An earlier try has started it.
                return id;
            }
        }, cancellationToken);
        if (Shapes.WaitsForGo(shape))
        {
            Open[id] = "tells it to go on";
            await InsistAsync(random, async (door, token) =>
            {
                await door.Client.RaiseEventAsync(id, Shapes.Go, cancellation: token);
                return true;
            }, cancellationToken);
        }

        Open[id] = "waits for its end";
        var state = await InsistAsync(random, (door, token) => door.Client.WaitForWorkflowCompletionAsync(id, cancellation: token), cancellationToken);
        Ended.Enqueue(new Lived(id, shape, state.RuntimeStatus == WorkflowRuntimeStatus.Completed ? state.ReadOutputAs<string>() : $"{state.RuntimeStatus}", state.LastUpdatedAt, watch.Elapsed));
        Open.TryRemove(id, out _);
    }

    private async Task<T> InsistAsync<T>(Random random, Func<Door, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        while (true)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(TryLimit);
            try
            {
                return await ask(doors[random.Next(doors.Count)], limit.Token);
            }
            catch (Exception e) when (e is RpcException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                // A killed sidecar is unavailable or answers late; nothing else may happen.
                if (!limit.IsCancellationRequested && e is not RpcException { StatusCode: StatusCode.Unavailable })
                {
                    Complaints.Enqueue(e.Message);
                }

                await Task.Delay(TryAgainAfter, cancellationToken);
            }
        }
    }
}
