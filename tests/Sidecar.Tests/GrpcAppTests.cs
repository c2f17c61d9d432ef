using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace RenderTrust.Sidecar.Tests;

/// <summary>gRPC through the sidecar: an app's own service by dapr-app-id, and InvokeService to an app that speaks HTTP.</summary>
public sealed class GrpcAppTests : IAsyncDisposable
{
    private static readonly Marshaller<string> Text = Marshallers.Create<string>(text => Encoding.UTF8.GetBytes(text), bytes => Encoding.UTF8.GetString(bytes));
    internal static readonly Method<string, string> Say = new(MethodType.Unary, "test.Echo", "Say", Text, Text);
    private static readonly Method<string, string> Talk = new(MethodType.DuplexStreaming, "test.Echo", "Talk", Text, Text);

    private readonly SidecarRig rig = new();
    private HostedTestApp? app;
    private RigApp caller = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_unary_call_reaches_the_app_that_the_metadata_names()
    {
        await StartGrpcAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        using var call = channel.CreateCallInvoker().AsyncUnaryCall(Say, null, Options("echo"), "hello");
        var answer = await call.ResponseAsync;

        Assert.Equal("hello from caller to echo with token-of-the-apps and mine", answer);
        Assert.Equal("yes", call.GetTrailers().GetValue("x-trailer"));
    }

    [Fact]
    public async Task Messages_of_a_stream_pass_both_ways_while_it_is_open()
    {
        await StartGrpcAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(Talk, null, Options("echo"));
        var heard = new List<string>();
        foreach (var word in new[] { "one", "two" })
        {
            await call.RequestStream.WriteAsync(word, Token);
            Assert.True(await call.ResponseStream.MoveNext(Token));
            heard.Add(call.ResponseStream.Current);
        }

        await call.RequestStream.CompleteAsync();

        Assert.False(await call.ResponseStream.MoveNext(Token));
        Assert.Equal(["ONE", "TWO"], heard);
    }

    [Fact]
    public async Task An_apps_refusal_comes_back_with_its_status_and_words()
    {
        await StartGrpcAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await channel.CreateCallInvoker().AsyncUnaryCall(Say, null, Options("echo"), "refuse"));

        Assert.Equal((StatusCode.AlreadyExists, "said before"), (refused.StatusCode, refused.Status.Detail));
    }

    [Theory]
    [InlineData("nobody", StatusCode.Unavailable, "no such app is hosted here")]
    [InlineData("caller", StatusCode.Unavailable, "no such app is hosted here")]
    public async Task A_call_to_an_app_that_cannot_take_it_is_refused_with_the_cause(string target, StatusCode status, string cause)
    {
        await StartGrpcAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await channel.CreateCallInvoker().AsyncUnaryCall(Say, null, Options(target), "hello"));

        Assert.Equal(status, refused.StatusCode);
        Assert.Contains(cause, refused.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InvokeService_calls_an_http_app_with_verb_query_body_and_headers()
    {
        await StartHttpAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        using var call = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).InvokeServiceAsync(
            Request("work/1", HTTPExtension.Types.Verb.Put, "a=b", "body"), new Metadata { { "x-own", "mine" }, { "dapr-caller-app-id", "somebody" } }, cancellationToken: Token);
        var answer = await call.ResponseAsync;

        Assert.Equal("PUT /work/1?a=b body text/plain mine caller", answer.Data.Value.ToStringUtf8());
        Assert.StartsWith("text/plain", answer.ContentType, StringComparison.Ordinal);
        Assert.Equal("200", call.GetTrailers().GetValue("dapr-http-status"));
    }

    [Fact]
    public async Task A_method_with_line_breaks_is_one_path_and_never_a_second_request()
    {
        await StartHttpAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        var answer = await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).InvokeServiceAsync(
            Request("work/1\r\nx-own: theirs\r\n\r\nnext", HTTPExtension.Types.Verb.Put, "", "body"), cancellationToken: Token);

        Assert.Equal("PUT /work/1%0D%0Ax-own:%20theirs%0D%0A%0D%0Anext body text/plain  caller", answer.Data.Value.ToStringUtf8());
    }

    [Fact]
    public async Task InvokeService_turns_the_apps_status_into_a_grpc_one()
    {
        await StartHttpAppAsync();
        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.InvokeServiceAsync(Request("missing", HTTPExtension.Types.Verb.Get, "", ""), cancellationToken: Token));

        Assert.Equal((StatusCode.NotFound, "not here"), (refused.StatusCode, refused.Status.Detail));
    }

    [Fact]
    public async Task An_http_call_of_a_grpc_app_says_how_to_call_it()
    {
        await StartGrpcAppAsync();
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/echo/method/x", Token);

        Assert.Equal(501, (int)response.StatusCode);
        Assert.Contains("dapr-app-id", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        if (app is not null)
        {
            await app.DisposeAsync();
        }
    }

    private static CallOptions Options(string target) => new(new Metadata { { "dapr-app-id", target }, { "x-own", "mine" } }, cancellationToken: Token);

    private static InvokeServiceRequest Request(string method, HTTPExtension.Types.Verb verb, string query, string body) => new()
    {
        Id = "web",
        Message = new InvokeRequest
        {
            Method = method,
            ContentType = "text/plain",
            Data = new Any { Value = ByteString.CopyFromUtf8(body) },
            HttpExtension = new HTTPExtension { Verb = verb, Querystring = query },
        },
    };

    private async Task StartGrpcAppAsync()
    {
        caller = rig.AddApp("caller", withPort: false);
        var echo = rig.AddApp("echo", extra: "    appProtocol: grpc\n");
        app = await StartEchoAsync(echo.AppPort);
        await rig.StartAsync();
    }

    internal static Task<HostedTestApp> StartEchoAsync(int port) => HostedTestApp.StartAsync(port, web => web.MapGrpcService<Echo>(), services =>
    {
        services.AddGrpc();
        services.AddSingleton<IServiceMethodProvider<Echo>>(new EchoMethods());
    }, protocols: HttpProtocols.Http2);

    private async Task StartHttpAppAsync()
    {
        caller = rig.AddApp("caller", withPort: false);
        var web = rig.AddApp("web");
        app = await HostedTestApp.StartAsync(web.AppPort, routes =>
        {
            routes.MapGet("/missing", () => Results.Text("not here", statusCode: 404));
            routes.MapPut("/work/{id}", async (HttpContext context) =>
            {
                using var reader = new StreamReader(context.Request.Body);
                var (request, body) = (context.Request, await reader.ReadToEndAsync());
                return $"{request.Method} {request.Path}{request.QueryString} {body} {request.ContentType} {request.Headers["x-own"]} {request.Headers["dapr-caller-app-id"]}";
            });
        });
        await rig.StartAsync();
    }

    private sealed class Echo;

    private sealed class EchoMethods : IServiceMethodProvider<Echo>
    {
        public void OnServiceMethodDiscovery(ServiceMethodProviderContext<Echo> context)
        {
            context.AddUnaryMethod(Say, [], (_, request, call) =>
            {
                if (request == "refuse")
                {
                    throw new RpcException(new Grpc.Core.Status(StatusCode.AlreadyExists, "said before"));
                }

                call.ResponseTrailers.Add("x-trailer", "yes");
                string Header(string name) => call.RequestHeaders.GetValue(name) ?? "nothing";
                return Task.FromResult($"{request} from {Header("dapr-caller-app-id")} to {Header("dapr-callee-app-id")} with {Header("dapr-api-token")} and {Header("x-own")}");
            });
            context.AddDuplexStreamingMethod(Talk, [], async (_, requests, responses, _) =>
            {
                while (await requests.MoveNext(CancellationToken.None))
                {
                    await responses.WriteAsync(requests.Current.ToUpperInvariant());
                }
            });
        }
    }
}
