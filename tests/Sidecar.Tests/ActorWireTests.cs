using System.Collections.Concurrent;
using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RenderTrust.TestKit;
using DaprGrpc = Dapr.Client.Autogen.Grpc.v1.Dapr;

namespace RenderTrust.Sidecar.Tests;

/// <summary>What an actor's app and its callers see on the wire: the gRPC forms, and what follows when an app does not take a reminder.</summary>
public sealed class ActorWireTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const string Config = """
        {"entities": ["Wire"], "actorIdleTimeout": "1h", "drainOngoingCallTimeout": "30s",
         "entitiesConfig": [{"entities": ["Hasty"], "drainRebalancedActors": false}, {"entities": ["Brief"], "drainOngoingCallTimeout": "50ms"}]}
        """;

    private readonly SidecarRig rig = new();
    private readonly ConcurrentQueue<(string Line, string Body, string? Header)> seen = new();
    private readonly TaskCompletionSource release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string id = Guid.CreateVersion7().ToString("N");
    private RigApp app = null!;
    private HostedTestApp web = null!;
    private GrpcChannel channel = null!;
    private DaprGrpc.DaprClient rpc = null!;

    public async ValueTask InitializeAsync()
    {
        rig.Component("state", "state.postgresql", "v2",
            $"{SidecarRig.Setting("connectionString", PostgresStateTests.Libpq(database))}, {SidecarRig.Setting("actorStateStore", "true")}");
        app = rig.AddApp("wire");
        web = await HostedTestApp.StartAsync(app.AppPort, Map);
        await rig.StartAsync();
        channel = GrpcChannel.ForAddress(app.Grpc);
        rpc = new DaprGrpc.DaprClient(channel);
    }

    public async ValueTask DisposeAsync()
    {
        release.TrySetResult();
        channel.Dispose();
        await rig.DisposeAsync();
        await web.DisposeAsync();
    }

    [Fact]
    public async Task A_call_over_grpc_reaches_the_method_with_its_metadata_as_headers()
    {
        var request = new InvokeActorRequest { ActorType = "Wire", ActorId = id, Method = "echo", Data = ByteString.CopyFromUtf8("hello") };
        request.Metadata["x-studio"] = "north";
        var answer = await rpc.InvokeActorAsync(request, cancellationToken: Token);

        Assert.Equal("hello back", answer.Data.ToStringUtf8());
        Assert.Equal(($"PUT /actors/Wire/{id}/method/echo", "hello", "north"), Assert.Single(seen));
    }

    [Fact]
    public async Task A_call_over_grpc_is_refused_in_daprds_words()
    {
        var nobody = await Assert.ThrowsAsync<RpcException>(async () => await rpc.InvokeActorAsync(new() { ActorType = "Nobody", ActorId = "1", Method = "x" }, cancellationToken: Token));
        var failing = await Assert.ThrowsAsync<RpcException>(async () => await rpc.InvokeActorAsync(new() { ActorType = "Wire", ActorId = id, Method = "fail" }, cancellationToken: Token));
        var reserved = await Assert.ThrowsAsync<RpcException>(async () =>
            await rpc.RegisterActorTimerAsync(new() { ActorType = "dapr.internal.x", ActorId = "1", Name = "t", DueTime = "1s" }, cancellationToken: Token));
        var foreign = await Assert.ThrowsAsync<RpcException>(async () =>
            await rpc.RegisterActorReminderAsync(new() { ActorType = "Nobody", ActorId = "1", Name = "r", DueTime = "1s" }, cancellationToken: Token));
        var inactive = await Assert.ThrowsAsync<RpcException>(async () =>
            await rpc.ExecuteActorStateTransactionAsync(new() { ActorType = "Wire", ActorId = "asleep" }, cancellationToken: Token));

        Assert.Equal((StatusCode.FailedPrecondition, true), (nobody.StatusCode, nobody.Status.Detail.Contains("ERR_ACTOR_NO_ADDRESS", StringComparison.Ordinal)));
        Assert.Equal((StatusCode.Internal, true), (failing.StatusCode, failing.Status.Detail.Contains("ERR_ACTOR_INVOKE_METHOD", StringComparison.Ordinal)));
        Assert.Equal(StatusCode.PermissionDenied, reserved.StatusCode);
        Assert.Equal(StatusCode.PermissionDenied, foreign.StatusCode);
        Assert.Equal((StatusCode.Internal, true), (inactive.StatusCode, inactive.Status.Detail.Contains("ERR_ACTOR_INSTANCE_MISSING", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task State_written_over_grpc_is_read_over_both()
    {
        await WakeAsync();
        var write = new ExecuteActorStateTransactionRequest { ActorType = "Wire", ActorId = id };
        write.Operations.Add(new TransactionalActorStateOperation { OperationType = "upsert", Key = "count", Value = new Any { Value = ByteString.CopyFromUtf8("41") } });
        write.Operations.Add(new TransactionalActorStateOperation { OperationType = "upsert", Key = "gone", Value = new Any { Value = ByteString.CopyFromUtf8("1") } });
        write.Operations.Add(new TransactionalActorStateOperation { OperationType = "delete", Key = "gone" });
        await rpc.ExecuteActorStateTransactionAsync(write, cancellationToken: Token);

        Assert.Equal("41", (await rpc.GetActorStateAsync(new() { ActorType = "Wire", ActorId = id, Key = "count" }, cancellationToken: Token)).Data.ToStringUtf8());
        Assert.Empty((await rpc.GetActorStateAsync(new() { ActorType = "Wire", ActorId = id, Key = "gone" }, cancellationToken: Token)).Data);
        Assert.Equal("41", await rig.Client.GetStringAsync($"{app.Http}/v1.0/actors/Wire/{id}/state/count", Token));
    }

    [Fact]
    public async Task A_timer_over_grpc_fires_as_often_as_its_period_says()
    {
        await rpc.RegisterActorTimerAsync(new()
        {
            ActorType = "Wire", ActorId = id, Name = "tick", Callback = "OnTick", DueTime = "0h0m0s10ms", Period = "R3/PT0.05S", Data = ByteString.CopyFromUtf8("hi"),
        }, cancellationToken: Token);
        await rpc.RegisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "later", DueTime = "10ms", Period = "R8/PT0.05S" }, cancellationToken: Token);
        await Wait.UntilAsync("the longer timer is through", () => Count("timer/later") == 8);

        Assert.Equal(3, Count("timer/tick"));
        Assert.Equal("""{"callback":"OnTick","data":"aGk=","dueTime":"0h0m0s10ms","period":"R3/PT0.05S"}""", seen.First(call => call.Line.EndsWith("timer/tick", StringComparison.Ordinal)).Body);
    }

    [Fact]
    public async Task A_timer_without_a_due_time_fires_at_once_and_ends_with_its_ttl()
    {
        await rpc.RegisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "now", Period = "1h" }, cancellationToken: Token);
        await Wait.UntilAsync("the timer fires", () => Count("timer/now") == 1);

        await rpc.RegisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "brief", DueTime = "1ms", Period = "20ms", Ttl = "200ms" }, cancellationToken: Token);
        await rpc.RegisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "after", DueTime = "1s", Period = "R5/PT0.1S" }, cancellationToken: Token);
        await Wait.UntilAsync("the timer that outlives it is through", () => Count("timer/after") == 5);
        var fired = Count("timer/brief");
        await rpc.RegisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "last", DueTime = "1ms", Period = "R5/PT0.1S" }, cancellationToken: Token);
        await Wait.UntilAsync("one more timer is through", () => Count("timer/last") == 5);

        Assert.InRange(fired, 1, 11);
        Assert.Equal(fired, Count("timer/brief"));
        await rpc.UnregisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "now" }, cancellationToken: Token);
        await rpc.UnregisterActorTimerAsync(new() { ActorType = "Wire", ActorId = id, Name = "unknown" }, cancellationToken: Token);
    }

    [Fact]
    public async Task A_reminder_over_grpc_fires_and_can_be_read_listed_and_removed()
    {
        var request = new RegisterActorReminderRequest { ActorType = "Wire", ActorId = id, Name = "one", DueTime = "1h", Period = "1h", Ttl = "2h", Data = ByteString.CopyFromUtf8("hi") };
        await rpc.RegisterActorReminderAsync(request, cancellationToken: Token);
        await rpc.RegisterActorReminderAsync(new() { ActorType = "Wire", ActorId = id, Name = "two", DueTime = "10ms" }, cancellationToken: Token);
        await rpc.RegisterActorReminderAsync(new() { ActorType = "Wire", ActorId = id + "-other", Name = "one", DueTime = "1h" }, cancellationToken: Token);
        await Wait.UntilAsync("the second one fires", () => Count("remind/two") == 1);
        var read = await rpc.GetActorReminderAsync(new() { ActorType = "Wire", ActorId = id, Name = "one" }, cancellationToken: Token);
        var mine = await rpc.ListActorRemindersAsync(new() { ActorType = "Wire", ActorId = id }, cancellationToken: Token);

        Assert.Equal(("1h", "1h", "\"aGk=\""), (read.DueTime, read.Period, read.Data.Unpack<BytesValue>().Value.ToStringUtf8()));
        Assert.True(DateTimeOffset.Parse(read.Ttl, System.Globalization.CultureInfo.InvariantCulture) > DateTimeOffset.UnixEpoch);
        Assert.Contains("one", mine.Reminders.Select(reminder => reminder.Name));
        request.Overwrite = false;
        var twice = await Assert.ThrowsAsync<RpcException>(async () => await rpc.RegisterActorReminderAsync(request, cancellationToken: Token));
        Assert.Equal(StatusCode.AlreadyExists, twice.StatusCode);

        await rpc.UnregisterActorReminderAsync(new() { ActorType = "Wire", ActorId = id, Name = "one" }, cancellationToken: Token);
        var gone = await Assert.ThrowsAsync<RpcException>(async () => await rpc.GetActorReminderAsync(new() { ActorType = "Wire", ActorId = id, Name = "one" }, cancellationToken: Token));
        Assert.Equal(StatusCode.NotFound, gone.StatusCode);
        Assert.NotEmpty((await rpc.ListActorRemindersAsync(new() { ActorType = "Wire", ActorId = id + "-other" }, cancellationToken: Token)).Reminders);
        await rpc.UnregisterActorRemindersByTypeAsync(new() { ActorType = "Wire" }, cancellationToken: Token);
        Assert.Empty((await rpc.ListActorRemindersAsync(new() { ActorType = "Wire" }, cancellationToken: Token)).Reminders);
    }

    [Fact]
    public async Task A_dropped_reminder_is_not_tried_again_and_a_constant_one_so_often()
    {
        await RemindAsync("fail-drop", """{"dueTime":"10ms","failure_policy":{"drop":{}}}""");
        await RemindAsync("fail-twice", """{"dueTime":"10ms","failure_policy":{"constant":{"interval":"20ms","max_retries":2}}}""");
        await RemindAsync("fail-recurring", """{"dueTime":"10ms","period":"R3/PT0.1S","failurePolicy":{"constant":{"interval":{"nanos":20000000},"maxRetries":1}}}""");
        await rpc.RegisterActorReminderAsync(new()
        {
            ActorType = "Wire", ActorId = id, Name = "fail-often", DueTime = "20ms",
            FailurePolicy = new JobFailurePolicy { Constant = new JobFailurePolicyConstant { Interval = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(50)), MaxRetries = 6 } },
        }, cancellationToken: Token);

        // One that is through has no row any more: nothing can come after.
        await Wait.UntilAsync("all are through", async () =>
            (await rpc.ListActorRemindersAsync(new() { ActorType = "Wire", ActorId = id }, cancellationToken: Token)).Reminders.Count == 0,
            () => string.Join(", ", seen.Select(call => call.Line)));

        Assert.Equal((1, 3, 6, 7), (Count("remind/fail-drop"), Count("remind/fail-twice"), Count("remind/fail-recurring"), Count("remind/fail-often")));
    }

    [Fact]
    public async Task Without_a_number_a_constant_policy_goes_on_until_the_app_takes_it()
    {
        await RemindAsync("mend-6", """{"dueTime":"10ms","failure_policy":{"constant":{"interval":"10ms"}}}""");

        await Wait.UntilAsync("it is taken", async () =>
            (await rpc.ListActorRemindersAsync(new() { ActorType = "Wire", ActorId = id }, cancellationToken: Token)).Reminders.Count == 0);
        Assert.Equal(7, Count("remind/mend-6"));
    }

    [Fact]
    public async Task A_reminder_ends_with_its_ttl()
    {
        await RemindAsync("brief", """{"dueTime":"10ms","period":"100ms","ttl":"500ms"}""");
        await Wait.UntilAsync("it is gone", async () =>
            (await rpc.ListActorRemindersAsync(new() { ActorType = "Wire", ActorId = id }, cancellationToken: Token)).Reminders.Count == 0);

        Assert.InRange(Count("remind/brief"), 1, 6);
    }

    [Theory]
    [InlineData("""{"dueTime":"1s","failure_policy":{}}""")]
    [InlineData("""{"dueTime":"1s","failure_policy":{"constant":{"interval":"soon"}}}""")]
    [InlineData("""{"dueTime":"1s","failure_policy":{"constant":{"max_retries":-1}}}""")]
    [InlineData("""{"dueTime":"1s","ttl":"5s"}""")]
    [InlineData("""{"dueTime":"10s","period":"1s","ttl":"2000-01-01T00:00:00Z"}""")]
    public async Task A_reminder_that_cannot_be_meant_is_a_callers_mistake(string body)
    {
        using var response = await rig.Client.PutAsync($"{app.Http}/v1.0/actors/Wire/{id}/reminders/r", new StringContent(body), Token);

        await StateContract.AssertErrorAsync(response, 400, "ERR_MALFORMED_REQUEST");
    }

    [Theory]
    [InlineData("Wire", false)]
    [InlineData("Hasty", true)]
    [InlineData("Brief", true)]
    public async Task Stopping_waits_for_running_turns_only_as_long_as_the_type_says(string type, bool overtakes)
    {
        var call = rig.Client.PutAsync($"{app.Http}/v1.0/actors/{type}/{id}/method/slow", null, Token);
        await Wait.UntilAsync("the call is under way", () => Count("method/slow") == 1);
        var stopping = rig.StopAsync();
        if (overtakes)
        {
            await Wait.UntilAsync("the actor is deactivated beside its call", () => Count($"DELETE /actors/{type}/{id}") == 1);
        }

        release.SetResult();
        await stopping;
        (await call).Dispose();
        var order = seen.Select(call => call.Line).Where(line => line is "slow is done" || line.StartsWith("DELETE", StringComparison.Ordinal));

        string[] expected = [$"DELETE /actors/{type}/{id}", "slow is done"];
        Assert.Equal(overtakes ? expected : expected.Reverse(), order);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private void Map(WebApplication routes)
    {
        routes.MapGet("/dapr/config", () => Results.Text(Config, "application/json"));
        routes.MapMethods("/actors/{**rest}", ["PUT", "DELETE"], async (HttpContext context) =>
        {
            using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
            var body = await reader.ReadToEndAsync(context.RequestAborted);
            var path = context.Request.Path.Value!;
            seen.Enqueue(($"{context.Request.Method} {path}", body, context.Request.Headers["x-studio"].FirstOrDefault()));
            var name = path[(path.LastIndexOf('/') + 1)..];
            if (name == "slow")
            {
                await release.Task.WaitAsync(context.RequestAborted);
                seen.Enqueue(("slow is done", "", null));
            }

            // "fail" never works, "mend-6" after having failed six times.
            context.Response.StatusCode = name.StartsWith("fail", StringComparison.Ordinal) || (name.StartsWith("mend-", StringComparison.Ordinal) && Count(name) <= int.Parse(name[5..]))
                ? 500
                : 200;
            await context.Response.WriteAsync($"{body} back", context.RequestAborted);
        });
    }

    private int Count(string end) => seen.Count(call => call.Line.EndsWith(end, StringComparison.Ordinal));

    private async Task WakeAsync() =>
        await rpc.InvokeActorAsync(new() { ActorType = "Wire", ActorId = id, Method = "wake" }, cancellationToken: Token);

    private async Task RemindAsync(string name, string body)
    {
        using var response = await rig.Client.PutAsync($"{app.Http}/v1.0/actors/Wire/{id}/reminders/{name}", new StringContent(body), Token);
        Assert.Equal(System.Net.HttpStatusCode.NoContent, response.StatusCode);
    }
}
