using System.Diagnostics;
using System.Net;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.TaskHubProtocol;
using RenderTrust.WorkflowLoad;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>With DAPR_API_TOKEN set at the sidecar, nobody starts, steers, sees or works workflows without it.</summary>
public sealed class TokenTests(World world) : IClassFixture<World>
{
    private static readonly Marshaller<byte[]> Raw = Marshallers.Create(static bytes => bytes, static bytes => bytes);
    private static readonly HttpClient Http = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("wrong")]
    public async Task No_rpc_of_workflows_is_answered_without_the_token(string? shown)
    {
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{world.Sidecar.One.Grpc}");
        var invoker = channel.CreateCallInvoker();
        var headers = shown is null ? [] : new Metadata { { "dapr-api-token", shown } };
        var rpcs = TaskhubReflection.Descriptor.Services.Concat(DaprReflection.Descriptor.Services)
            .SelectMany(service => service.Methods).Where(rpc => rpc.Service.Name == "TaskHubSidecarService" || rpc.Name.Contains("Workflow", StringComparison.Ordinal)).ToList();

        foreach (var rpc in rpcs)
        {
            var body = rpc.InputType.Parser.ParseFrom(ByteString.Empty).ToByteArray();
            var options = new CallOptions(headers, DateTime.UtcNow.AddSeconds(60), Token);
            var refused = await Assert.ThrowsAsync<RpcException>(async () =>
            {
                if (rpc.IsServerStreaming)
                {
                    using var call = invoker.AsyncServerStreamingCall(new Method<byte[], byte[]>(MethodType.ServerStreaming, rpc.Service.FullName, rpc.Name, Raw, Raw), null, options, body);
                    await call.ResponseStream.MoveNext(Token);
                }
                else
                {
                    await invoker.AsyncUnaryCall(new Method<byte[], byte[]>(MethodType.Unary, rpc.Service.FullName, rpc.Name, Raw, Raw), null, options, body);
                }
            });

            Assert.True(refused.StatusCode == StatusCode.Unauthenticated, $"{rpc.FullName}: {refused.Status}");
            Assert.Equal("invalid api token", refused.Status.Detail);
        }

        Assert.Contains(rpcs, rpc => rpc.Name == "GetWorkItems");
    }

    [Theory]
    [InlineData("POST", "RenderWorkflow/start?instanceID=token")]
    [InlineData("GET", "token")]
    [InlineData("POST", "token/terminate")]
    [InlineData("POST", "token/pause")]
    [InlineData("POST", "token/resume")]
    [InlineData("POST", "token/purge")]
    [InlineData("POST", "token/raiseEvent/e")]
    public async Task No_path_of_workflows_is_answered_without_the_token(string verb, string path)
    {
        foreach (var shown in (string?[])[null, "", "wrong"])
        {
            using var answer = await SendAsync(verb, path, shown);

            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
            Assert.Equal("invalid api token", await answer.Content.ReadAsStringAsync(Token));
        }
    }

    [Fact]
    public async Task With_the_token_a_workflow_starts_over_http()
    {
        var id = Guid.CreateVersion7().ToString("N");
        using var started = await SendAsync("POST", $"Napping/start?instanceID={id}", world.Sidecar.ApiToken, "1");
        var state = await world.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token);
        using var seen = await SendAsync("GET", id, world.Sidecar.ApiToken);

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.OK), (started.StatusCode, seen.StatusCode));
        Assert.Equal("slept", state.ReadOutputAs<string>());
    }

    [Fact]
    public async Task Worker_and_client_show_the_token_of_their_environment()
    {
        // A process of its own, so that its environment is its own too. It starts and works workflows, at an app that nobody else works for.
        var right = await MeasureAsync(world.Sidecar.ApiToken);
        var wrong = await MeasureAsync("wrong");

        Assert.True(right.ExitCode == 0 && right.Output.Contains("Measured Row, 2 clients", StringComparison.Ordinal), right.Output);
        Assert.NotEqual(0, wrong.ExitCode);
        Assert.Contains("invalid api token", wrong.Output, StringComparison.Ordinal);
    }

    private async Task<(int ExitCode, string Output)> MeasureAsync(string token)
    {
        var start = new ProcessStartInfo("dotnet") { ArgumentList = { typeof(Shapes).Assembly.Location, "rate", "Row", "10", "2" }, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DAPR_GRPC_PORT"] = $"{world.Sidecar.Two.Grpc}";
        start.Environment["DAPR_API_TOKEN"] = token;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        await process.WaitForExitAsync(Token);
        return (process.ExitCode, await output + await error);
    }

    private async Task<HttpResponseMessage> SendAsync(string verb, string path, string? token, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(verb), $"http://127.0.0.1:{world.Sidecar.One.Http}/v1.0/workflows/dapr/{path}") { Content = body is null ? null : new StringContent(body) };
        if (token is not null)
        {
            request.Headers.TryAddWithoutValidation("dapr-api-token", token);
        }

        return await Http.SendAsync(request, Token);
    }
}
