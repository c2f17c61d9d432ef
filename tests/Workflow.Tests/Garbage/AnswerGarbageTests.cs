using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using RenderTrust.Workflow.Tests.EndToEnd;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;

namespace RenderTrust.Workflow.Tests.Garbage;

/// <summary>A worker that answers real work with garbage harms its own instances only, and each of them can still be ended.</summary>
public sealed class AnswerGarbageTests(World world) : IClassFixture<World>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_instance_whose_worker_answers_garbage_can_still_be_ended()
    {
        var count = Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1" ? 5000 : 200;
        var seed = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_SEED"), out var given) ? given : Random.Shared.Next();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{world.Sidecar.Two.Grpc}");
        var hub = new Hub(channel.Intercept(metadata =>
        {
            metadata.Add("dapr-api-token", world.Sidecar.ApiToken);
            return metadata;
        }));
        var (answers, wrong) = (new ConcurrentQueue<StatusCode>(), new ConcurrentQueue<string>());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var working = WorkAsync(hub, seed, answers, wrong, stop.Token);

        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = Token }, async (n, _) =>
        {
            var id = $"garbage-{n}";
            var doing = "start";
            try
            {
                await hub.StartInstanceAsync(new CreateInstanceRequest { InstanceId = id, Name = "Garbage" }, deadline: DateTime.UtcNow + Limit, cancellationToken: Token);
                doing = "termination";
                await hub.TerminateInstanceAsync(new TerminateRequest { InstanceId = id, Recursive = true }, deadline: DateTime.UtcNow + Limit, cancellationToken: Token);
                doing = "look";
                var state = (await hub.GetInstanceAsync(new GetInstanceRequest { InstanceId = id }, deadline: DateTime.UtcNow + Limit, cancellationToken: Token)).WorkflowState;
                if (state.CompletedTimestamp is null)
                {
                    wrong.Enqueue($"{id} is {state.WorkflowStatus} after its termination");
                }
            }
            catch (RpcException e)
            {
                wrong.Enqueue($"{doing} of {id}: {e.Status}");
            }
        });
        await stop.CancelAsync();
        await working;

        Console.WriteLine($"Measured garbage as answers: {count} turns, RENDERTRUST_SEED={seed}: {string.Join(", ", answers.GroupBy(answer => answer).Select(group => $"{group.Count()} {group.Key}"))}; {wrong.Count} wrong");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(30)));
        world.Sidecar.AssertRunning();
        world.Sidecar.AssertNoFault();
    }

    private static async Task WorkAsync(Hub hub, int seed, ConcurrentQueue<StatusCode> answers, ConcurrentQueue<string> wrong, CancellationToken cancellationToken)
    {
        var seen = new HashSet<string>();
        try
        {
            using var call = hub.GetWorkItems(new GetWorkItemsRequest(), cancellationToken: cancellationToken);
            await foreach (var item in call.ResponseStream.ReadAllAsync(cancellationToken))
            {
                if (item.ActivityRequest is { } activity)
                {
                    await hub.CompleteActivityTaskAsync(
                        new ActivityResponse { InstanceId = activity.WorkflowInstance.InstanceId, TaskId = activity.TaskId, CompletionToken = item.CompletionToken }, cancellationToken: cancellationToken);
                    continue;
                }

                var turn = item.WorkflowRequest;
                if (int.TryParse(turn.InstanceId.Replace("garbage-", "", StringComparison.Ordinal), out var n) && seen.Add(turn.InstanceId))
                {
                    var garble = new Garble(new Random(unchecked(seed + n)), [turn.InstanceId, "none", "one", "two", "somewhere"]);
                    var garbage = (WorkflowResponse)garble.Message(WorkflowResponse.Descriptor);
                    (garbage.InstanceId, garbage.CompletionToken) = (turn.InstanceId, item.CompletionToken);
                    try
                    {
                        await hub.CompleteWorkflowTaskAsync(garbage, cancellationToken: cancellationToken);
                        answers.Enqueue(StatusCode.OK);
                        continue;
                    }
                    catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
                    {
                        answers.Enqueue(e.StatusCode);
                        if (e.StatusCode != StatusCode.InvalidArgument)
                        {
                            wrong.Enqueue($"answer of {turn.InstanceId}: {e.Status}");
                        }
                    }
                }

                // A refused answer leaves the turn open for a good one.
                await hub.CompleteWorkflowTaskAsync(
                    new WorkflowResponse
                    {
                        InstanceId = turn.InstanceId, CompletionToken = item.CompletionToken,
                        Actions = { new WorkflowAction { CompleteWorkflow = new CompleteWorkflowAction { WorkflowStatus = OrchestrationStatus.Completed, Result = "\"good\"" } } },
                    }, cancellationToken: cancellationToken);
            }
        }
        catch (Exception e) when (cancellationToken.IsCancellationRequested && e is RpcException or OperationCanceledException)
        {
            // Told to stop.
        }
    }
}
