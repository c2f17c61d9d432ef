using System.Collections.Concurrent;
using System.Net;
using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.TestKit;
using DaprReflection = Dapr.Client.Autogen.Grpc.v1.DaprReflection;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>
/// Whatever a caller sends to any block over HTTP and gRPC, and whatever an app answers: no crash, no hang, no error that blames the sidecar for the
/// caller's mistake. Hundreds of requests, or thousands with RENDERTRUST_LONG=1; RENDERTRUST_SEED repeats them. Workflows have their own in tests/Workflow.Tests.
/// </summary>
public sealed partial class RequestGarbageTests(TestDatabase database, RedisServer redis, RabbitMqServer rabbit) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const int BatchSize = 200;
    private const int AtOnce = 4;
    private static readonly TimeSpan WaitLimit = TimeSpan.FromMilliseconds(300);
    private static readonly Marshaller<byte[]> Raw = Marshallers.Create(static bytes => bytes, static bytes => bytes);
    private readonly GarbageWorld world = new(database, redis, rabbit);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static int Batches => Campaign.IsLong ? 20 : 2;

    public async ValueTask InitializeAsync()
    {
        Console.WriteLine($"Garbage for the sidecar: RENDERTRUST_SEED={Campaign.Seed}");
        await world.StartAsync();
    }

    [Fact]
    public async Task Garbage_over_http_is_refused_as_the_callers_mistake()
    {
        var (answers, wrong) = (new ConcurrentQueue<HttpStatusCode>(), new ConcurrentQueue<string>());
        var garbage = new HttpGarbage(world.Broken.Http, GarbageWorld.Stores, GarbageWorld.PubSubs, ["broken", "sound"]);
        for (var batch = 0; batch < Batches; batch++)
        {
            await Parallel.ForAsync(0, BatchSize, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Token }, async (n, token) =>
            {
                using var request = garbage.Next(Campaign.NewRandom(batch, n));
                var target = request.RequestUri!.PathAndQuery;
                var what = $"batch {batch}, {n}: {request.Method} {target[..Math.Min(200, target.Length)]}";
                try
                {
                    using var answer = await world.Client.SendAsync(request, token);
                    // As bytes: what the app says of its character set passes through, and may name none that there is.
                    var text = System.Text.Encoding.UTF8.GetString(await answer.Content.ReadAsByteArrayAsync(token));
                    answers.Enqueue(answer.StatusCode);
                    if (!IsFair(request, answer, text))
                    {
                        wrong.Enqueue($"{what}: {(int)answer.StatusCode}: {text[..Math.Min(500, text.Length)]}; body {await BodyAsync(request)}");
                    }
                }
                catch (Exception e) when (!token.IsCancellationRequested)
                {
                    wrong.Enqueue($"{what}: no answer: {e.Message} {e.InnerException?.Message}; body {await BodyAsync(request)}");
                }
            });
            await world.AssertAliveAsync(Token);
        }

        Console.WriteLine($"Measured garbage over HTTP to all blocks: {answers.Count} requests, RENDERTRUST_SEED={Campaign.Seed}: {Campaign.Count(answers)}; {wrong.Count} unfair answers");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(40)));
    }

    [Fact]
    public async Task Garbage_over_grpc_is_refused_as_the_callers_mistake()
    {
        var (answers, wrong) = (new ConcurrentQueue<StatusCode>(), new ConcurrentQueue<string>());
        // A shutdown would be obeyed.
        var rpcs = DaprReflection.Descriptor.Services.Single(service => service.Name == "Dapr").Methods.Where(rpc => rpc.Name != "Shutdown").ToList();
        var served = rpcs.Where(rpc => typeof(Rpc.DaprService).GetMethod(rpc.Name) is not null).ToList();
        var types = rpcs.Select(rpc => rpc.InputType).Distinct().ToList();
        var aim = new Aim(GarbageWorld.Stores, GarbageWorld.PubSubs);
        string[] known = ["key", "one", "garbage", "5s", "1h0m0s", "9999999h", "R3/PT1H", "PT0S", "R99999999999/PT1S", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "P99999999W"];
        using var channel = GrpcChannel.ForAddress(world.Broken.Grpc, new GrpcChannelOptions { MaxSendMessageSize = null });
        for (var batch = 0; batch < Batches; batch++)
        {
            await Parallel.ForAsync(0, BatchSize, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Token }, async (n, _) =>
            {
                var random = Campaign.NewRandom(batch, n);
                var rpc = random.Next(10) == 0 ? rpcs[random.Next(rpcs.Count)] : served[random.Next(served.Count)];
                var garble = new Garble(random, known);
                byte[][] bodies = [.. Enumerable.Range(0, rpc.IsClientStreaming ? random.Next(4) : 1).Select(_ => n == 0 ? new byte[5 << 20] : random.Next(3) == 0 ? garble.Request(rpc.InputType, types) : aim.Request(rpc.InputType, random, garble))];
                var status = await CallAsync(channel, rpc.Service.FullName, rpc.Name, bodies, rpc.IsClientStreaming || rpc.IsServerStreaming);
                answers.Enqueue(status.StatusCode);
                if (!IsFair(rpc.Name, status))
                {
                    wrong.Enqueue($"batch {batch}, {n}: {rpc.Name} of {string.Join(" + ", bodies.Select(body => body.Length))} bytes: {status.StatusCode}: {status.Detail}");
                }
            });
            await world.AssertAliveAsync(Token);
        }

        Console.WriteLine($"Measured garbage over gRPC to all blocks: {answers.Count} requests to {served.Count} rpcs and some of {rpcs.Count - served.Count} that are not served, RENDERTRUST_SEED={Campaign.Seed}: {Campaign.Count(answers)}; {wrong.Count} unfair answers");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(40)));
    }

    public ValueTask DisposeAsync() => world.DisposeAsync();

    /// <summary>For these callers' mistakes daprd itself answers 500 or INTERNAL, and clients know them by their words.</summary>
    [GeneratedRegex("""
        no such app is hosted here|no item was updated|invalid etag value|possible etag mismatch|secret not found|actor instance is missing|is not hosted by|ActorStateTTL|error from actor service|dapr app-id does not match
        """)]
    private static partial Regex DaprdsOwn();

    private static bool IsFair(HttpRequestMessage request, HttpResponseMessage answer, string text)
    {
        // A HEAD's answer has no words to judge it by.
        if (answer.Headers.Contains(BrokenApp.Mark) || (int)answer.StatusCode < 400 || request.Method == HttpMethod.Head)
        {
            return true;
        }

        var isUnreadable = answer.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestUriTooLong or HttpStatusCode.RequestHeaderFieldsTooLarge && text.Length == 0;
        var hasCode = text.Contains("\"errorCode\"", StringComparison.Ordinal) || isUnreadable;
        return hasCode && ((int)answer.StatusCode < 500 || answer.StatusCode == HttpStatusCode.NotImplemented || DaprdsOwn().IsMatch(text));
    }

    private static bool IsFair(string rpc, Status status) => status.StatusCode switch
    {
        StatusCode.OK or StatusCode.InvalidArgument or StatusCode.NotFound or StatusCode.AlreadyExists or StatusCode.FailedPrecondition or StatusCode.ResourceExhausted
            or StatusCode.Unimplemented or StatusCode.PermissionDenied or StatusCode.Aborted => true,
        StatusCode.DeadlineExceeded => Waits(rpc),
        // What the app's status means is for the app to say.
        _ when rpc == "InvokeService" => true,
        StatusCode.Unknown => rpc.Contains("Workflow", StringComparison.Ordinal) && status.Detail.EndsWith("no such instance exists", StringComparison.Ordinal),
        _ => DaprdsOwn().IsMatch(status.Detail),
    };

    // These wait for a worker's turn, which nobody takes here, for as long as the caller likes.
    private static bool Waits(string rpc) => rpc.Contains("Workflow", StringComparison.Ordinal) && ((string[])["Start", "Terminate", "Pause", "Resume"]).Any(word => rpc.StartsWith(word, StringComparison.Ordinal));

    private static async Task<string> BodyAsync(HttpRequestMessage request)
    {
        var body = request.Content is null ? [] : await request.Content.ReadAsByteArrayAsync(Token);
        return $"({request.Content?.Headers.NonValidated.ToString()?.Trim()}) {System.Text.Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(300, body.Length)))}";
    }

    private static async Task<Status> CallAsync(GrpcChannel channel, string service, string rpc, byte[][] bodies, bool isStream)
    {
        var method = new Method<byte[], byte[]>(isStream ? MethodType.DuplexStreaming : MethodType.Unary, service, rpc, Raw, Raw);
        var options = new CallOptions(null, DateTime.UtcNow + (Waits(rpc) ? WaitLimit : Campaign.HangLimit), Token);
        try
        {
            if (!isStream)
            {
                await channel.CreateCallInvoker().AsyncUnaryCall(method, null, options, bodies[0]);
                return Status.DefaultSuccess;
            }

            using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(method, null, options);
            try
            {
                foreach (var body in bodies)
                {
                    await call.RequestStream.WriteAsync(body, Token);
                }

                await call.RequestStream.CompleteAsync();
            }
            catch (Exception e) when (e is InvalidOperationException or RpcException)
            {
                // Refused before everything was sent: the reading half says how.
            }

            await foreach (var _ in call.ResponseStream.ReadAllAsync(Token))
            {
                // Events without a verdict: they come again elsewhere.
            }

            return Status.DefaultSuccess;
        }
        catch (RpcException e)
        {
            return e.Status;
        }
    }
}
