using System.Text.Json.Nodes;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Actors;

/// <summary>Reminders, on the wire.</summary>
public sealed class ActorReminderTests(World world)
{
    private DaprSidecar Dapr => world.Main;

    [Theory]
    [InlineData("\"text\"")]
    [InlineData("42")]
    [InlineData("""{"a":{"b":1}}""")]
    [InlineData("[1,\"two\"]")]
    public async Task A_reminder_calls_the_app_with_its_data(string data)
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "once", $$$"""{"dueTime":"0h0m0s10ms","data":{{{data}}}}""");

        var call = (await CallsAsync(id, "once", 1))[0];

        Assert.Equal("PUT", call.Method);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(data), call.Json["data"]), call.Body);
    }

    [Fact]
    public async Task A_call_does_not_repeat_when_it_was_due()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "once", """{"dueTime":"0h0m0s10ms"}""");

        var call = (await CallsAsync(id, "once", 1))[0];

        Assert.Equal(("", ""), ((string?)call.Json["dueTime"], (string?)call.Json["period"]));
    }

    [Theory]
    [InlineData("0h0m1s0ms")]
    [InlineData("1s")]
    [InlineData("PT1S")]
    [InlineData("")]
    public async Task A_due_time_may_be_written_like_this(string due)
    {
        var id = ActorCallTests.NewId();
        var moment = due.Length > 0 ? due : DateTimeOffset.UtcNow.AddSeconds(1).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'");
        await RemindAsync(id, "due", $$"""{"dueTime":"{{moment}}"}""");

        await CallsAsync(id, "due", 1);
    }

    [Fact]
    public async Task A_reminder_can_be_read()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "far", """{"dueTime":"1h0m0s0ms","period":"2h0m0s0ms","data":"about"}""");

        var got = (await Dapr.GetAsync($"/v1.0/actors/Plain/{id}/reminders/far")).Is(200).Json;

        Assert.Equal(("1h0m0s0ms", "2h0m0s0ms", "about"), ((string?)got["dueTime"], (string?)got["period"], (string?)got["data"]));
    }

    [Fact]
    public async Task A_removed_reminder_is_not_found()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "far", """{"dueTime":"1h0m0s0ms"}""");

        (await Dapr.DeleteAsync($"/v1.0/actors/Plain/{id}/reminders/far")).Is(204);

        (await Dapr.GetAsync($"/v1.0/actors/Plain/{id}/reminders/far")).IsError(404, "ERR_ACTOR_REMINDER_NOT_FOUND");
    }

    [Fact]
    public async Task A_reminder_of_the_same_name_replaces_the_first_unless_that_is_not_wanted()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "same", """{"dueTime":"1h0m0s0ms"}""");
        await RemindAsync(id, "same", """{"dueTime":"2h0m0s0ms"}""");

        (await Dapr.PutAsync($"/v1.0/actors/Plain/{id}/reminders/same", """{"dueTime":"3h0m0s0ms","overwrite":false}""")).IsError(409, "ERR_ACTOR_REMINDER_ALREADY_EXISTS");

        Assert.Equal("2h0m0s0ms", (string?)(await Dapr.GetAsync($"/v1.0/actors/Plain/{id}/reminders/same")).Json["dueTime"]);
    }

    [Fact]
    public async Task A_reminder_repeats_until_it_is_removed()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "often", """{"dueTime":"0h0m0s10ms","period":"0h0m1s0ms"}""");
        await CallsAsync(id, "often", 2);

        (await Dapr.DeleteAsync($"/v1.0/actors/Plain/{id}/reminders/often")).Is(204);

        (await Dapr.GetAsync($"/v1.0/actors/Plain/{id}/reminders/often")).Is(404);
    }

    [Fact]
    public async Task A_reminder_fires_as_often_as_its_repetitions_say_and_is_gone()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "twice", """{"dueTime":"0h0m0s10ms","period":"R2/PT1S"}""");
        await CallsAsync(id, "twice", 2);

        await Wait.UntilAsync("the reminder is gone", async () => (await Dapr.GetAsync($"/v1.0/actors/Plain/{id}/reminders/twice")).Status == 404);

        Assert.Equal(2, world.App.Seen(request => IsCall(request, id, "twice")).Count);
    }

    [Fact]
    public async Task A_call_that_fails_is_made_again()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "fails-once", """{"dueTime":"0h0m0s10ms"}""");

        await CallsAsync(id, "fails-once", 2);
    }

    [Fact]
    public async Task The_app_can_end_a_reminder_by_a_header()
    {
        var id = ActorCallTests.NewId();
        await RemindAsync(id, "cancel-me", """{"dueTime":"0h0m0s10ms","period":"1h0m0s0ms"}""");
        await CallsAsync(id, "cancel-me", 1);

        await Wait.UntilAsync("the reminder is gone", async () => (await Dapr.GetAsync($"/v1.0/actors/Plain/{id}/reminders/cancel-me")).Status == 404);
    }

    [Fact]
    public async Task A_reminder_wakes_an_actor_that_has_gone()
    {
        var id = ActorCallTests.NewId();
        (await Dapr.PutAsync($"/v1.0/actors/Idle/{id}/method/echo", "{}")).Is(200);
        await world.App.ArrivedAsync("the end of the actor", 1, request => request.Method == "DELETE" && request.Path == $"/actors/Idle/{id}");

        (await Dapr.PutAsync($"/v1.0/actors/Idle/{id}/reminders/later", """{"dueTime":"0h0m0s10ms"}""")).Is(204);

        await world.App.ArrivedAsync("the reminder", 1, request => request.Path == $"/actors/Idle/{id}/method/remind/later");
    }

    [Theory]
    [InlineData("Nobody", """{"dueTime":"1h0m0s0ms"}""", 403)]
    [InlineData("Plain", "{}", 0)]
    [InlineData("Plain", """{"dueTime":"soon"}""", 0)]
    [InlineData("Plain", """{"period":"P1D"}""", 0)]
    [InlineData("Plain", """{"dueTime":"0h0m5s0ms","ttl":"0h0m9s0ms"}""", 0)]
    public async Task This_reminder_is_refused(string type, string body, int status)
    {
        var id = ActorCallTests.NewId();

        var answer = await Dapr.PutAsync($"/v1.0/actors/{type}/{id}/reminders/r", body);

        Assert.InRange(answer.Status, status == 0 ? 400 : status, status == 0 ? 500 : status);
    }

    [Theory]
    [InlineData("PUT")]
    [InlineData("GET")]
    [InlineData("DELETE")]
    public async Task Reminders_belong_to_the_app_that_hosts_the_type(string verb) =>
        (await world.Sdk.SendAsync(verb, "/v1.0/actors/Plain/1/reminders/r", verb == "PUT" ? """{"dueTime":"1h0m0s0ms"}"""u8.ToArray() : null, verb == "PUT" ? "application/json" : null))
            .IsError(403, "ERR_ACTOR_REMINDER_NON_HOSTED");

    private static bool IsCall(Recorded request, string id, string name) => request.Path == $"/actors/Plain/{id}/method/remind/{name}";

    private Task<IReadOnlyList<Recorded>> CallsAsync(string id, string name, int count) => world.App.ArrivedAsync($"reminder {name} of {id}", count, request => IsCall(request, id, name));

    private async Task RemindAsync(string id, string name, string body) => (await Dapr.PutAsync($"/v1.0/actors/Plain/{id}/reminders/{name}", body)).Is(204);
}
