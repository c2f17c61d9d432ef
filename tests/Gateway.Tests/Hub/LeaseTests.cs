using Grpc.Core;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>Leases on their way to the node, and the node's answers.</summary>
public sealed class LeaseTests(TestDatabase database) : HubTest(database)
{
    private protected override (string Key, string Value)[] Settings => [("Gateway:Hub:AcknowledgeSeconds", "1.5"), ("Gateway:Hub:OutgoingFrames", "16"), ("Gateway:Hub:SilenceSeconds", "600")];

    [Fact]
    public async Task An_offer_reaches_the_node_whole_and_its_acknowledgement_the_scheduler()
    {
        var node = await OpenAsync();
        var offer = Leases.Offer(Node, node.Epoch, assets: new string('e', 64));

        var answering = Host.OfferAsync(offer);
        var frame = await node.NextAsync(f => f.Offer);
        await node.AcknowledgeAsync(frame);
        var answer = await answering;

        Assert.Equal(LeaseOfferOutcome.Acknowledged, answer.Outcome);
        Assert.True(answer.RoundTripMs > 0);
        Assert.Equal((offer.AttemptId.ToString(), 17L, 3, 8, 60), (frame.AttemptId, frame.FencingToken, frame.UnitIndex, frame.UnitCount, frame.MaxUnitDeviceSeconds));
        Assert.Equal((offer.Runtime.ImageDigest, 256, 64), (frame.Runtime.ImageDigest, frame.Runtime.MemoryMebibytes, frame.Runtime.MaxProcesses));
        Assert.Equal(offer.Manifest.BlobSha256, frame.Manifest.BlobSha256);
        Assert.Equal(new string('e', 64), Assert.Single(frame.Assets).BlobSha256);
        Assert.Equal("key-1", Assert.Single(frame.Grants).RecipientKeyId);
        Assert.Equal(offer.LeaseExpiresAt.ToUnixTimeMilliseconds(), frame.LeaseExpiresUnixMs);
        Assert.NotEmpty(frame.BlobToken);
    }

    [Fact]
    public async Task A_node_that_refuses_says_why()
    {
        var node = await OpenAsync();

        var answering = Host.OfferAsync(Leases.Offer(Node, node.Epoch));
        await node.AcknowledgeAsync(await node.NextAsync(f => f.Offer), accepted: false, reason: "no free slot");

        Assert.Equal((LeaseOfferOutcome.Refused, "no free slot"), ((await answering).Outcome, (await answering).Reason));
    }

    [Fact]
    public async Task An_offer_that_nobody_acknowledges_says_so()
    {
        var node = await OpenAsync();

        var answer = await Host.OfferAsync(Leases.Offer(Node, node.Epoch));

        Assert.Equal(LeaseOfferOutcome.NotAcknowledged, answer.Outcome);
        Assert.NotNull(await node.NextAsync(f => f.Offer));
    }

    [Fact]
    public async Task Only_the_acknowledgement_of_that_attempt_and_token_counts()
    {
        var node = await OpenAsync();

        var answering = Host.OfferAsync(Leases.Offer(Node, node.Epoch));
        var offer = await node.NextAsync(f => f.Offer);
        await node.AcknowledgeAsync(offer, fencingToken: 16);
        await node.AcknowledgeAsync(new EdgeProtocol.LeaseOffer { AttemptId = AttemptId.New().ToString(), FencingToken = 17 });

        Assert.Equal(LeaseOfferOutcome.NotAcknowledged, (await answering).Outcome);
    }

    [Fact]
    public async Task Early_and_repeated_acknowledgements_do_no_harm()
    {
        var node = await OpenAsync();
        var offer = Leases.Offer(Node, node.Epoch);
        await node.SendAsync(new NodeFrame { LeaseAck = new LeaseAck { AttemptId = offer.AttemptId.ToString(), FencingToken = 17, Accepted = false } });
        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch } });
        await node.NextAsync(f => f.HeartbeatEcho);

        var answering = Host.OfferAsync(offer);
        var frame = await node.NextAsync(f => f.Offer);
        await node.AcknowledgeAsync(frame);
        await node.AcknowledgeAsync(frame, accepted: false);
        await node.AcknowledgeAsync(frame);

        Assert.Equal(LeaseOfferOutcome.Acknowledged, (await answering).Outcome);
    }

    [Fact]
    public async Task The_same_offer_twice_at_once_is_acknowledged_twice()
    {
        var node = await OpenAsync();
        var offer = Leases.Offer(Node, node.Epoch);

        var both = new[] { Host.OfferAsync(offer), Host.OfferAsync(offer) };
        await node.NextAsync(f => f.Offer, index: 1);
        await node.AcknowledgeAsync(await node.NextAsync(f => f.Offer));

        Assert.All(await Task.WhenAll(both), answer => Assert.Equal(LeaseOfferOutcome.Acknowledged, answer.Outcome));
    }

    [Fact]
    public async Task An_offer_for_an_older_session_or_an_unknown_node_is_not_sent()
    {
        var node = await OpenAsync();

        Assert.Equal(LeaseOfferOutcome.StaleEpoch, (await Host.OfferAsync(Leases.Offer(Node, node.Epoch - 1))).Outcome);
        Assert.Equal(LeaseOfferOutcome.StaleEpoch, (await Host.OfferAsync(Leases.Offer(Node, node.Epoch + 1))).Outcome);
        Assert.Equal(LeaseOfferOutcome.NoSession, (await Host.OfferAsync(Leases.Offer(NodeId.New(), node.Epoch))).Outcome);
        Assert.DoesNotContain(node.Frames, frame => frame.Offer is not null);
    }

    [Fact]
    public async Task A_stream_that_ends_while_an_offer_waits_leaves_it_unacknowledged_at_once()
    {
        var node = await OpenAsync();
        var answering = Host.OfferAsync(Leases.Offer(Node, node.Epoch));
        await node.NextAsync(f => f.Offer);

        node.Dispose();

        Assert.Equal(LeaseOfferOutcome.NotAcknowledged, (await answering).Outcome);
    }

    [Fact]
    public async Task A_revocation_is_delivered_when_the_node_has_confirmed_it()
    {
        var node = await OpenAsync();
        var attempt = AttemptId.New();

        var revoking = Host.RevokeAsync(new LeaseRevocation(Node, node.Epoch, attempt, 17, "canceled"));
        var away = await Host.RevokeAsync(new LeaseRevocation(NodeId.New(), 1, attempt, 17, "canceled"));

        Assert.False(away.Delivered);
        var revoke = await node.NextAsync(f => f.Revoke);
        Assert.Equal((attempt.ToString(), 17L, "canceled"), (revoke.AttemptId, revoke.FencingToken, revoke.Reason));
        Assert.False(revoking.IsCompleted);
        await node.SendAsync(new NodeFrame { RevokeAck = new RevokeAck { AttemptId = attempt.ToString(), Stopped = true } });
        Assert.True((await revoking).Delivered);
    }

    [Fact]
    public async Task A_revocation_whose_stream_ends_unconfirmed_is_not_delivered()
    {
        var node = await OpenAsync();
        var revoking = Host.RevokeAsync(new LeaseRevocation(Node, node.Epoch, AttemptId.New(), 17, "canceled"));
        await node.NextAsync(f => f.Revoke);

        node.Dispose();

        Assert.False((await revoking).Delivered);
    }

    [Fact]
    public async Task A_node_that_does_not_read_is_let_go_and_holds_up_nobody()
    {
        var (slowId, slow) = (NodeId.New(), (TestNode?)null);
        using var slowCertificate = Sidecar.Ca.IssueNode(slowId, Owner);
        slow = Connect(slowCertificate);
        await slow.SendAsync(new NodeFrame { Hello = new Hello { Capabilities = TestNode.Capabilities } });
        await Wait.ForAsync(() => Sidecar.Opened.Count, count => count == 1);
        var node = await OpenAsync();
        var large = new string('x', 200_000);

        // Until the windows of the connection are full and the queue behind them is.
        var flood = new List<Task<LeaseRevocationResponse>>();
        await Wait.ForAsync(
            () =>
            {
                flood.AddRange(Enumerable.Range(0, 8).Select(_ => Host.RevokeAsync(new LeaseRevocation(slowId, 1, AttemptId.New(), 1, large))));
                return Sidecar.Closed.Any(closed => closed.NodeId == slowId);
            },
            closed => closed);
        Assert.All(await Task.WhenAll(flood), answer => Assert.False(answer.Delivered));
        var answering = Host.OfferAsync(Leases.Offer(Node, node.Epoch));
        await node.AcknowledgeAsync(await node.NextAsync(f => f.Offer));

        Assert.Equal(LeaseOfferOutcome.Acknowledged, (await answering).Outcome);
    }
}
