using System.Collections.Concurrent;
using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using DaprGrpc = Dapr.Client.Autogen.Grpc.v1.Dapr;

namespace RenderTrust.Sidecar.Tests;

/// <summary>kind: Resiliency on calls of actors: the same whether they come over HTTP or over gRPC.</summary>
public sealed class ActorResiliencyTests : IAsyncDisposable
{
    private readonly SidecarRig rig = new();
    private readonly ConcurrentQueue<string> calls = new();
    private Func<int, HttpContext, Task> answer = (_, _) => Task.CompletedTask;
    private RigApp caller = null!;
    private HostedTestApp? app;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("http")]
    [InlineData("grpc")]
    public async Task A_call_is_sent_again_whole_until_the_actor_takes_it(string protocol)
    {
        await StartAsync("retries: {r: {policy: constant, duration: 10ms, maxRetries: 3}}", "{retry: r}");
        answer = (count, context) => AnswerAsync(context, count < 3 ? 503 : 200);

        Assert.Equal("answer 3", await CallAsync(protocol));
        Assert.Equal(Enumerable.Repeat("PUT /actors/Kept/1/method/work body", 3), calls);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("grpc")]
    public async Task The_actors_refusal_is_told_when_retries_are_used_up(string protocol)
    {
        await StartAsync("retries: {r: {policy: constant, duration: 1ms, maxRetries: 1}}", "{retry: r}");
        answer = (_, context) => AnswerAsync(context, 503);

        var refusal = await CallAsync(protocol);

        Assert.Contains("(503) answer 2", refusal, StringComparison.Ordinal);
        Assert.Equal(2, calls.Count);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("grpc")]
    public async Task A_call_that_takes_too_long_is_ended_and_the_next_one_has_its_turn(string protocol)
    {
        await StartAsync("timeouts: {t: 100ms}", "{timeout: t}");
        answer = (count, context) => count == 1 ? Task.Delay(Timeout.Infinite, context.RequestAborted) : Task.CompletedTask;

        var refusal = await CallAsync(protocol);

        Assert.Contains("ended by the resiliency policy of actor type Kept", refusal, StringComparison.Ordinal);
        await Wait.UntilAsync("a call is quick enough to be answered", async () => (await CallAsync(protocol)).Length == 0);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("grpc")]
    public async Task An_open_breaker_refuses_without_a_call(string protocol)
    {
        await StartAsync("circuitBreakers: {cb: {timeout: 1h, trip: consecutiveFailures >= 2}}", "{circuitBreaker: cb, circuitBreakerScope: type}");
        answer = (_, context) => AnswerAsync(context, 500);
        await CallAsync(protocol);
        await CallAsync(protocol);

        var refusal = await CallAsync(protocol);

        Assert.Contains("ended by the resiliency policy of actor type Kept", refusal, StringComparison.Ordinal);
        Assert.Equal(2, calls.Count);
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        if (app is not null)
        {
            await app.DisposeAsync();
        }
    }

    private async Task StartAsync(string policies, string target)
    {
        rig.Component("state", "state.in-memory", metadata: SidecarRig.Setting("actorStateStore", "true"));
        rig.Resource("resiliency", $"""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {"{name: r}"}
            spec:
              policies:
                {policies}
              targets:
                actors:
                  Kept: {target}
            """);
        caller = rig.AddApp("caller", withPort: false);
        var callee = rig.AddApp("callee");
        app = await HostedTestApp.StartAsync(callee.AppPort, web =>
        {
            web.MapGet("/dapr/config", () => Results.Content("""{"entities": ["Kept"]}"""));
            web.MapPut("/actors/{**path}", async context =>
            {
                using var reader = new StreamReader(context.Request.Body);
                calls.Enqueue($"{context.Request.Method} {context.Request.Path} {await reader.ReadToEndAsync()}");
                await answer(calls.Count, context);
            });
        });
        await rig.StartAsync();
    }

    private Task AnswerAsync(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsync($"answer {calls.Count}");
    }

    /// <summary>The answer's body, or what the refusal says.</summary>
    private async Task<string> CallAsync(string protocol)
    {
        if (protocol == "http")
        {
            using var response = await rig.Client.PutAsync($"{caller.Http}/v1.0/actors/Kept/1/method/work", new StringContent("body", Encoding.UTF8, "text/plain"), Token);
            return await response.Content.ReadAsStringAsync(Token);
        }

        using var channel = GrpcChannel.ForAddress(caller.Grpc);
        try
        {
            var request = new InvokeActorRequest { ActorType = "Kept", ActorId = "1", Method = "work", Data = ByteString.CopyFromUtf8("body") };
            return (await new DaprGrpc.DaprClient(channel).InvokeActorAsync(request, cancellationToken: Token)).Data.ToStringUtf8();
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Internal)
        {
            return e.Status.Detail;
        }
    }
}
