using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Tests.Nodes;

public sealed class StreamTests : NodeTest
{
    private static readonly object Hanging = new { simulate = new { behaviour = "hang" } };

    [Fact]
    public async Task A_revoked_attempt_is_stopped_and_leaves_no_result()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: Hanging);
        var offer = job.Offer();
        await session.OfferAsync(offer);

        session.Send(new HubFrame { Revoke = new LeaseRevoke { AttemptId = offer.AttemptId, FencingToken = offer.FencingToken, Reason = "cancelled" } });
        var ack = (await session.NextAsync(NodeFrame.FrameOneofCase.RevokeAck)).RevokeAck;

        Assert.True(ack.Stopped);
        using var next = new TestJob(Hub, NodeKey);
        var following = next.Offer(token: 2);
        await session.OfferAsync(following);
        Assert.Equal(following.AttemptId, (await session.NextResultAsync()).AttemptId);
    }

    [Fact]
    public async Task A_stale_revocation_stops_nothing()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { simulate = new { behaviour = "succeed", milliseconds = 300 } });
        var offer = job.Offer(token: 5);
        await session.OfferAsync(offer);

        session.Send(new HubFrame { Revoke = new LeaseRevoke { AttemptId = offer.AttemptId, FencingToken = 4, Reason = "late" } });

        Assert.False((await session.NextAsync(NodeFrame.FrameOneofCase.RevokeAck)).RevokeAck.Stopped);
        Assert.True((await session.NextResultAsync()).Succeeded);
    }

    [Fact]
    public async Task A_repeated_offer_is_accepted_again_and_runs_once()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { simulate = new { milliseconds = 300 } });
        var offer = job.Offer();

        Assert.True((await session.OfferAsync(offer)).Accepted);
        Assert.True((await session.OfferAsync(offer)).Accepted);
        await session.NextResultAsync();

        using var next = new TestJob(Hub, NodeKey);
        var following = next.Offer(token: 2);
        await session.OfferAsync(following);
        Assert.Equal(following.AttemptId, (await session.NextResultAsync()).AttemptId);
    }

    [Fact]
    public async Task Offers_that_cannot_be_are_refused_with_the_reason()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, units: 4, parameters: Hanging);
        await session.OfferAsync(job.Offer(0, token: 10, slot: 0));

        var busy = await session.OfferAsync(job.Offer(1, token: 11, slot: 0));
        var unknown = await session.OfferAsync(job.Offer(2, token: 12, slot: 7));
        var old = await session.OfferAsync(job.Offer(3, token: 9, slot: 0));

        Assert.False(busy.Accepted);
        Assert.Contains("still runs", busy.Reason, StringComparison.Ordinal);
        Assert.False(unknown.Accepted);
        Assert.Contains("slots 0 to 1", unknown.Reason, StringComparison.Ordinal);
        Assert.False(old.Accepted);
        Assert.Contains("not newer", old.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_welcome_that_does_not_name_an_attempt_stops_it()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: Hanging);
        var offer = job.Offer();
        await session.OfferAsync(offer);
        Hub.LiveOf = _ => [];

        session.Close();
        var next = await Hub.NextSessionAsync();

        Assert.Equal([offer.AttemptId], next.Hello.RunningAttemptIds);
        Assert.True(next.Epoch > session.Epoch);
        await Wait.ForAsync(() => next.Heartbeats.LastOrDefault() is { BusySlots: 0 }, "the attempt to be stopped");
    }

    [Fact]
    public async Task Work_goes_on_without_a_hub_and_results_come_later_in_order()
    {
        var session = await StartNodeAsync();
        using var quick = new TestJob(Hub, NodeKey, parameters: new { simulate = new { milliseconds = 100 } });
        using var slow = new TestJob(Hub, NodeKey, parameters: new { simulate = new { milliseconds = 1500 } });
        var first = quick.Offer(token: 1, slot: 0);
        var second = slow.Offer(token: 2, slot: 1);
        await session.OfferAsync(first);
        await session.NextAsync(NodeFrame.FrameOneofCase.Progress);
        await session.OfferAsync(second);
        await session.NextAsync(NodeFrame.FrameOneofCase.Progress);

        await Hub.StopAsync();
        await Wait.ForAsync(() => Directory.GetDirectories(Path.Combine(State, "outbox"), "0*").Length == 2, "both results in the outbox");
        await Hub.StartAsync();
        var later = await Hub.NextSessionAsync();

        Assert.Equal(first.AttemptId, (await later.NextResultAsync()).AttemptId);
        var result = await later.NextResultAsync();
        Assert.Equal(second.AttemptId, result.AttemptId);
        slow.OpenOutput(Hub, Assert.Single(result.Outputs));
    }

    [Fact]
    public async Task A_result_whose_upload_fails_delays_neither_the_stream_nor_the_results_behind_it()
    {
        var session = await StartNodeAsync();
        string? failing = null;
        Hub.FailUpload = sha256 => (failing ??= sha256) == sha256;
        using var stuck = new TestJob(Hub, NodeKey);
        using var other = new TestJob(Hub, NodeKey);
        var first = stuck.Offer(token: 1, slot: 0);
        var second = other.Offer(token: 2, slot: 1);
        await session.OfferAsync(first);
        await Wait.ForAsync(() => failing is not null, "the first upload");
        await session.OfferAsync(second);

        Assert.Equal(second.AttemptId, (await session.NextResultAsync()).AttemptId);

        Hub.FailUpload = _ => false;
        var late = await session.NextResultAsync();
        Assert.Equal(first.AttemptId, late.AttemptId);
        Assert.True(late.Succeeded);
    }

    [Fact]
    public async Task An_unacknowledged_result_is_sent_again_on_the_next_stream()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);
        await session.OfferAsync(job.Offer());
        var once = await session.NextResultAsync(acknowledge: false);

        session.Close();
        var next = await Hub.NextSessionAsync();

        Assert.Equal(once, await next.NextResultAsync());
    }

    [Fact]
    public async Task Outputs_that_the_hub_refuses_become_a_failure_it_can_settle()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);
        Hub.RefuseUploads = true;

        await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.False(result.Succeeded);
        Assert.Empty(result.Outputs);
        Assert.Equal("internal", result.FailureClass);
    }

    [Fact]
    public async Task A_node_that_is_shut_down_gives_its_units_back()
    {
        var stop = StartNode();
        var session = await Hub.NextSessionAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: Hanging);
        var offer = job.Offer();
        await session.OfferAsync(offer);

        var stopping = stop();
        var result = await session.NextResultAsync();
        await stopping;

        Assert.Equal("canceled", result.FailureClass);
        Assert.Equal(offer.AttemptId, result.AttemptId);
    }

    [Fact]
    public async Task A_hub_under_another_authority_gets_nothing()
    {
        using var other = new TestAuthority();
        await using var impostor = new TestHub(other);
        await impostor.StartAsync();

        StartNode(options => options.HubUrl = impostor.Url);

        await Wait.ForAsync(() => Log.Text.Contains("No session with the hub", StringComparison.Ordinal), "the refusal in the log");
        Assert.DoesNotContain("Connected to hub", Log.Text, StringComparison.Ordinal);
    }
}
