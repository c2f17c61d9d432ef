using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Actors;

/// <summary>The actor rpcs of the Dapr service.</summary>
public sealed class ActorGrpcTests(World world)
{
    private Rpc.Dapr.DaprClient Dapr => world.Main.Rpc;

    [Fact]
    public async Task A_call_is_a_put_to_the_app_and_its_answer_comes_back()
    {
        var id = ActorCallTests.NewId();

        var answer = await Dapr.InvokeActorAsync(new Rpc.InvokeActorRequest { ActorType = "Plain", ActorId = id, Method = "echo", Data = ByteString.CopyFromUtf8("hello") });

        var seen = System.Text.Json.Nodes.JsonNode.Parse(answer.Data.ToStringUtf8())!;
        Assert.Equal(("PUT", $"/actors/Plain/{id}/method/echo", "hello"), ((string?)seen["method"], (string?)seen["target"], (string?)seen["body"]));
    }

    [Fact]
    public async Task State_is_saved_in_one_transaction_and_read_over_either_protocol()
    {
        var id = await AwakeAsync();
        var transaction = new Rpc.ExecuteActorStateTransactionRequest { ActorType = "Plain", ActorId = id };
        transaction.Operations.Add(Upsert("k", "7"));
        await Dapr.ExecuteActorStateTransactionAsync(transaction);

        var got = await Dapr.GetActorStateAsync(new Rpc.GetActorStateRequest { ActorType = "Plain", ActorId = id, Key = "k" });

        Assert.Equal("7", got.Data.ToStringUtf8());
        Assert.Equal("7", (await world.Main.GetAsync($"/v1.0/actors/Plain/{id}/state/k")).Is(200).Body);
    }

    [Fact]
    public async Task An_actor_that_is_not_active_cannot_save()
    {
        var transaction = new Rpc.ExecuteActorStateTransactionRequest { ActorType = "Plain", ActorId = ActorCallTests.NewId() };
        transaction.Operations.Add(Upsert("k", "7"));

        await Refusal.HasStatusAsync(StatusCode.Internal, Dapr.ExecuteActorStateTransactionAsync(transaction));
    }

    [Fact]
    public async Task A_timer_ticks_until_it_is_removed()
    {
        var id = ActorCallTests.NewId();
        await Dapr.RegisterActorTimerAsync(new Rpc.RegisterActorTimerRequest
        {
            ActorType = "Plain", ActorId = id, Name = "t", DueTime = "10ms", Period = "50ms", Callback = "OnTick", Data = ByteString.CopyFromUtf8("\"about\""),
        });

        var ticks = await world.App.ArrivedAsync("the timer", 2, request => request.Path == $"/actors/Plain/{id}/method/timer/t");

        Assert.Equal("OnTick", (string?)ticks[0].Json["callback"]);
        await Dapr.UnregisterActorTimerAsync(new Rpc.UnregisterActorTimerRequest { ActorType = "Plain", ActorId = id, Name = "t" });
    }

    [Fact]
    public async Task A_reminder_fires_and_another_can_be_removed()
    {
        var id = ActorCallTests.NewId();
        await Dapr.RegisterActorReminderAsync(new Rpc.RegisterActorReminderRequest { ActorType = "Plain", ActorId = id, Name = "r", DueTime = "10ms" });
        await Dapr.RegisterActorReminderAsync(new Rpc.RegisterActorReminderRequest { ActorType = "Plain", ActorId = id, Name = "far", DueTime = "1h" });
        await world.App.ArrivedAsync("the reminder", 1, request => request.Path == $"/actors/Plain/{id}/method/remind/r");

        await Dapr.UnregisterActorReminderAsync(new Rpc.UnregisterActorReminderRequest { ActorType = "Plain", ActorId = id, Name = "far" });

        (await world.Main.GetAsync($"/v1.0/actors/Plain/{id}/reminders/far")).IsError(404, "ERR_ACTOR_REMINDER_NOT_FOUND");
    }

    [Fact]
    public async Task Refusals_are_those_of_http()
    {
        await Refusal.HasStatusAsync(StatusCode.PermissionDenied,
            world.Sdk.Rpc.RegisterActorReminderAsync(new Rpc.RegisterActorReminderRequest { ActorType = "Plain", ActorId = "1", Name = "r", DueTime = "1h" }));
        await Refusal.HasStatusAsync(StatusCode.PermissionDenied,
            Dapr.GetActorStateAsync(new Rpc.GetActorStateRequest { ActorType = "dapr.internal.default.conformance.workflow", ActorId = "1", Key = "k" }));
        await Refusal.HasStatusAsync(StatusCode.FailedPrecondition,
            Dapr.InvokeActorAsync(new Rpc.InvokeActorRequest { ActorType = "Nobody", ActorId = "1", Method = "echo" }));
        await Refusal.HasStatusAsync(StatusCode.Internal,
            Dapr.InvokeActorAsync(new Rpc.InvokeActorRequest { ActorType = "Plain", ActorId = ActorCallTests.NewId(), Method = "status-500" }));
    }

    private static Rpc.TransactionalActorStateOperation Upsert(string key, string value) =>
        new() { OperationType = "upsert", Key = key, Value = new Any { Value = ByteString.CopyFromUtf8(value) } };

    private async Task<string> AwakeAsync()
    {
        var id = ActorCallTests.NewId();
        await Dapr.InvokeActorAsync(new Rpc.InvokeActorRequest { ActorType = "Plain", ActorId = id, Method = "echo" });
        return id;
    }
}
