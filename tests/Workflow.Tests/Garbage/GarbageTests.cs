using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using RenderTrust.Workflow.Tests.EndToEnd;

namespace RenderTrust.Workflow.Tests.Garbage;

/// <summary>
/// Whatever a caller sends to the workflow rpcs and paths: no crash, no hang, no error that blames the sidecar. Hundreds of requests, or tens of thousands
/// with RENDERTRUST_LONG=1; RENDERTRUST_SEED repeats them.
/// </summary>
public sealed class GarbageTests(World world) : IClassFixture<World>
{
    private const int BatchSize = 100;
    private const int AtOnce = 4;
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan WaitLimit = TimeSpan.FromMilliseconds(300);
    private static readonly Marshaller<byte[]> Raw = Marshallers.Create(static bytes => bytes, static bytes => bytes);

    // For these daprd answers UNKNOWN, and SDKs know them by their words.
    private static readonly string[] DaprdsUnknowns = ["no such instance exists", "workflow is stalled", "orchestration has not yet completed"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static int Seed { get; } = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_SEED"), out var given) ? given : Random.Shared.Next();

    private static bool IsLong => Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1";

    [Fact]
    public async Task Garbage_over_grpc_is_refused_as_the_callers_mistake()
    {
        var batches = IsLong ? 200 : 6;
        var answers = new ConcurrentQueue<StatusCode>();
        var wrong = new ConcurrentQueue<string>();
        var rpcs = TaskhubReflection.Descriptor.Services.Concat(Dapr.Client.Autogen.Grpc.v1.DaprReflection.Descriptor.Services)
            .SelectMany(service => service.Methods).Where(rpc => rpc.Service.Name == "TaskHubSidecarService" || rpc.Name.Contains("Workflow", StringComparison.Ordinal)).ToList();
        var types = rpcs.Select(rpc => rpc.InputType).Distinct().ToList();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{world.Sidecar.One.Grpc}", new GrpcChannelOptions { MaxSendMessageSize = null });

        for (var batch = 0; batch < batches; batch++)
        {
            var known = await KnownAsync();
            await Parallel.ForAsync(0, BatchSize, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Token }, async (n, _) =>
            {
                var random = NewRandom(batch, n);
                var rpc = rpcs[random.Next(rpcs.Count)];
                // Work items are answered by those who got them; an answer to the waiting instance's own turn would be an order, not garbage.
                var isAnswer = rpc.Name.StartsWith("Complete", StringComparison.Ordinal);
                var body = n == 0 ? new byte[5 << 20] : new Garble(random, isAnswer ? ["none"] : known).Request(rpc.InputType, types);
                var status = await CallAsync(channel, rpc.Service.FullName, rpc.Name, body, rpc.IsServerStreaming);
                answers.Enqueue(status.StatusCode);
                if (!IsFair(rpc.Name, status))
                {
                    wrong.Enqueue($"batch {batch}, {n}: {rpc.Name} of {body.Length} bytes: {status.StatusCode}: {status.Detail}");
                }
            });
            await AssertAliveAsync();
        }

        Console.WriteLine($"Measured garbage over gRPC: {answers.Count} requests to {rpcs.Count} rpcs, RENDERTRUST_SEED={Seed}: {Count(answers)}; {wrong.Count} unfair answers");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(30)));
        world.Sidecar.AssertNoFault();
    }

    [Fact]
    public async Task Garbage_over_http_is_refused_as_the_callers_mistake()
    {
        var batches = IsLong ? 100 : 3;
        var answers = new ConcurrentQueue<HttpStatusCode>();
        var wrong = new ConcurrentQueue<string>();
        using var client = new HttpClient { Timeout = AnswerLimit };
        client.DefaultRequestHeaders.Add("dapr-api-token", world.Sidecar.ApiToken);

        for (var batch = 0; batch < batches; batch++)
        {
            var known = await KnownAsync();
            await Parallel.ForAsync(0, BatchSize, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Token }, async (n, token) =>
            {
                using var request = Request(NewRandom(batch, n), known);
                using var answer = await client.SendAsync(request, token);
                var text = await answer.Content.ReadAsStringAsync(token);
                answers.Enqueue(answer.StatusCode);
                // A path with a NUL is refused before anybody has read it.
                var isUnreadable = answer.StatusCode == HttpStatusCode.BadRequest && request.RequestUri!.AbsolutePath.Contains("%00", StringComparison.Ordinal);
                if ((int)answer.StatusCode >= 500 || ((int)answer.StatusCode >= 400 && !isUnreadable && !text.Contains("\"errorCode\"", StringComparison.Ordinal)))
                {
                    wrong.Enqueue($"batch {batch}, {n}: {request.Method} {request.RequestUri!.PathAndQuery[..Math.Min(200, request.RequestUri.PathAndQuery.Length)]}: {(int)answer.StatusCode}: {text}");
                }
            });
            await AssertAliveAsync();
        }

        Console.WriteLine($"Measured garbage over HTTP: {answers.Count} requests, RENDERTRUST_SEED={Seed}: {Count(answers)}; {wrong.Count} unfair answers");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(30)));
        world.Sidecar.AssertNoFault();
    }

    private HttpRequestMessage Request(Random random, IReadOnlyList<string> known)
    {
        var garble = new Garble(random, known);
        string Segment() => random.Next(3) == 0 ? "dapr" : garble.Text() is { Length: > 0 and < 5000 } text && text is not ("." or "..") ? Uri.EscapeDataString(text) : "none";
        var verb = random.Next(8) switch { 0 => HttpMethod.Get, 1 => HttpMethod.Put, 2 => HttpMethod.Delete, 3 => HttpMethod.Patch, _ => HttpMethod.Post };
        var version = ((string[])["v1.0", "v1.0-beta1", "v1.0-alpha1"])[random.Next(3)];
        var action = ((string[])["start", "terminate", "pause", "resume", "purge", $"raiseEvent/{Segment()}", "raiseEvent", "none", ""])[random.Next(9)];
        var query = random.Next(3) == 0 ? $"?instanceID={Segment()}&instanceID={Segment()}" : "";
        return new HttpRequestMessage(verb, $"http://127.0.0.1:{world.Sidecar.One.Http}/{version}/workflows/{Segment()}/{Segment()}/{action}{query}")
        {
            Content = verb == HttpMethod.Get ? null : random.Next(3) switch
            {
                0 => new ByteArrayContent(garble.Bytes(random.Next(2000))),
                1 => new ByteArrayContent(garble.Damaged(Encoding.UTF8.GetBytes("""{"input":[1,2,{"a":"b"}],"c":null}"""))),
                _ => new StringContent(garble.Text()),
            },
        };
    }

    private async Task<Status> CallAsync(GrpcChannel channel, string service, string rpc, byte[] body, bool isStream)
    {
        var method = new Method<byte[], byte[]>(isStream ? MethodType.ServerStreaming : MethodType.Unary, service, rpc, Raw, Raw);
        var options = new CallOptions(new Metadata { { "dapr-api-token", world.Sidecar.ApiToken } }, DateTime.UtcNow + (Waits(rpc) ? WaitLimit : AnswerLimit), Token);
        try
        {
            if (isStream)
            {
                using var call = channel.CreateCallInvoker().AsyncServerStreamingCall(method, null, options, body);
                await foreach (var _ in call.ResponseStream.ReadAllAsync(Token))
                {
                    // Taken and never answered: it is given out again.
                }
            }
            else
            {
                await channel.CreateCallInvoker().AsyncUnaryCall(method, null, options, body);
            }

            return Status.DefaultSuccess;
        }
        catch (RpcException e)
        {
            return e.Status;
        }
    }

    // These wait until something happens, for as long as the caller likes.
    private static bool Waits(string rpc) => rpc is "WaitForInstanceStart" or "WaitForInstanceCompletion" or "GetWorkItems";

    private static bool IsFair(string rpc, Status status) => status.StatusCode switch
    {
        StatusCode.OK or StatusCode.InvalidArgument or StatusCode.NotFound or StatusCode.AlreadyExists or StatusCode.FailedPrecondition or StatusCode.ResourceExhausted => true,
        StatusCode.DeadlineExceeded => Waits(rpc),
        StatusCode.Unknown => Array.Exists(DaprdsUnknowns, words => status.Detail.EndsWith(words, StringComparison.Ordinal)),
        _ => false,
    };

    /// <summary>Ids that mean something: an instance that waits for an event, one that has ended, one that is not there.</summary>
    private async Task<IReadOnlyList<string>> KnownAsync()
    {
        var waiting = await world.Client.ScheduleNewWorkflowAsync("Child", Guid.CreateVersion7().ToString("N"), "x");
        var ended = await world.Client.ScheduleNewWorkflowAsync("Napping", Guid.CreateVersion7().ToString("N"), 1);
        await world.Client.WaitForWorkflowCompletionAsync(ended, cancellation: Token);
        return [waiting, ended, "none", "Child", "Napping"];
    }

    private async Task AssertAliveAsync()
    {
        world.Sidecar.AssertRunning();
        var watch = Stopwatch.StartNew();
        var id = await world.Client.ScheduleNewWorkflowAsync(nameof(RenderWorkflow), Guid.CreateVersion7().ToString("N"), new Order("canary", 2));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(AnswerLimit);
        var state = await world.Client.WaitForWorkflowCompletionAsync(id, cancellation: limit.Token);
        Assert.True(state.RuntimeStatus == Dapr.Workflow.WorkflowRuntimeStatus.Completed, $"After {watch.Elapsed} the canary is {state.RuntimeStatus}: {state.FailureDetails}");
    }

    private static Random NewRandom(int batch, int n) => new(unchecked(Seed + (batch * 1_000_003) + n));

    private static string Count<T>(IEnumerable<T> answers) where T : notnull =>
        string.Join(", ", answers.GroupBy(answer => answer).OrderByDescending(group => group.Count()).Select(group => $"{group.Count()} {group.Key}"));
}
