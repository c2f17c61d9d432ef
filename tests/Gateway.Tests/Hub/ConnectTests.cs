using System.Net;
using Grpc.Core;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>Who gets a stream, and what becomes of it.</summary>
public sealed class ConnectTests(TestDatabase database) : HubTest(database)
{
    [Fact]
    public async Task Hello_is_answered_with_welcome_and_the_scheduler_hears_what_the_certificate_says()
    {
        var (running, live) = (AttemptId.New(), AttemptId.New());
        Sidecar.LiveAttempts = [live];
        var hello = new Hello { Capabilities = TestNode.Capabilities };
        hello.RunningAttemptIds.Add(running.ToString());

        var node = await Connect().OpenAsync(hello);

        var welcome = await node.NextAsync(frame => frame.Welcome);
        Assert.Equal(live.ToString(), Assert.Single(welcome.LiveAttemptIds));
        Assert.True(welcome.HeartbeatIntervalMs > 0);
        var opened = Assert.Single(Sidecar.Opened);
        Assert.Equal((Node, Owner, "attic box / 2", "key-1", Apps.Gateway), (opened.NodeId, opened.OwnerTenantId, opened.Name, opened.RecipientKeyId, opened.HubAppId));
        Assert.Equal(new NodeCapabilities(DeviceKind.Cpu, 2, 4, 1 << 30, 1 << 28, "simulate", false, false, "0.1.0"), opened.Capabilities);
        Assert.Equal(running, Assert.Single(opened.RunningAttempts!));
    }

    [Fact]
    public async Task Without_a_certificate_the_handshake_fails()
    {
        using var http = Host.HttpFor(null);

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => http.GetAsync("/v1/node/blobs/x", Token));
    }

    [Fact]
    public async Task A_certificate_of_another_authority_is_refused_in_the_handshake()
    {
        using var stranger = new TestCa();
        using var certificate = stranger.IssueNode(Node, Owner);

        await AssertRefusedAsync(certificate);
    }

    [Fact]
    public async Task An_expired_certificate_is_refused_in_the_handshake()
    {
        using var certificate = Sidecar.Ca.IssueNode(Node, Owner, until: DateTimeOffset.UtcNow.AddMinutes(-1));

        await AssertRefusedAsync(certificate);
    }

    [Fact]
    public async Task A_certificate_of_the_platform_that_is_no_nodes_is_refused_in_the_handshake()
    {
        using var nameless = Sidecar.Ca.IssueNameless();
        using var server = Sidecar.Ca.IssueServerNamedLikeNode(Node, Owner);

        await AssertRefusedAsync(nameless);
        await AssertRefusedAsync(server);
    }

    [Fact]
    public async Task A_stream_that_does_not_begin_with_hello_is_refused()
    {
        var node = Connect();

        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat() });
        node.Read();

        Assert.Equal(StatusCode.InvalidArgument, (await node.Ended).StatusCode);
        Assert.Empty(Sidecar.Opened);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1025)]
    public async Task Capabilities_that_cannot_be_are_refused(int slots)
    {
        var node = Connect();
        var capabilities = TestNode.Capabilities;
        capabilities.Slots = slots;

        await node.SendAsync(new NodeFrame { Hello = new Hello { Capabilities = capabilities } });
        node.Read();

        var status = await node.Ended;
        Assert.Equal(StatusCode.InvalidArgument, status.StatusCode);
        Assert.Contains($"slots {slots}", status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_stream_of_a_node_takes_the_place_of_the_first()
    {
        var first = await OpenAsync();
        var second = await OpenAsync();

        var status = await first.Ended;

        Assert.Equal(StatusCode.Aborted, status.StatusCode);
        Assert.Contains("newer stream", status.Detail, StringComparison.Ordinal);
        var offer = Leases.Offer(Node, second.Epoch);
        var answering = Host.OfferAsync(offer);
        await second.AcknowledgeAsync(await second.NextAsync(frame => frame.Offer));
        Assert.Equal(LeaseOfferOutcome.Acknowledged, (await answering).Outcome);
        await Wait.ForAsync(() => Sidecar.Closed.Count, count => count == 1);
        Assert.Equal(first.Epoch, Sidecar.Closed.Single().Epoch);
    }

    [Fact]
    public async Task An_older_epoch_that_is_answered_late_does_not_take_the_place_of_a_newer()
    {
        var release = new TaskCompletionSource();
        Sidecar.BeforeOpenAnswer = epoch => epoch == 1 ? release.Task : Task.CompletedTask;
        var older = Connect();
        await older.SendAsync(new NodeFrame { Hello = new Hello { Capabilities = TestNode.Capabilities } });
        older.Read();
        await Wait.ForAsync(() => Sidecar.Opened.Count, count => count == 1);
        var newer = await OpenAsync();

        release.SetResult();

        Assert.Equal(StatusCode.Aborted, (await older.Ended).StatusCode);
        Assert.Equal(2, newer.Epoch);
        var answering = Host.OfferAsync(Leases.Offer(Node, newer.Epoch));
        await newer.AcknowledgeAsync(await newer.NextAsync(frame => frame.Offer));
        Assert.Equal(LeaseOfferOutcome.Acknowledged, (await answering).Outcome);
    }

    [Fact]
    public async Task A_stream_that_ends_is_told_to_the_scheduler()
    {
        var node = await OpenAsync();

        node.Dispose();

        await Wait.ForAsync(() => Sidecar.Closed.Count, count => count == 1);
        Assert.Equal(new CloseNodeSessionRequest(Node, node.Epoch), Sidecar.Closed.Single());
        Assert.Equal(LeaseOfferOutcome.NoSession, (await Host.OfferAsync(Leases.Offer(Node, node.Epoch))).Outcome);
    }

    [Fact]
    public async Task A_node_is_revoked_while_it_is_connected_and_comes_back_in_vain()
    {
        var node = await OpenAsync();

        Sidecar.Revoke(Node);

        Assert.Contains("revoked", (await node.Ended).Detail, StringComparison.Ordinal);
        var again = Connect();
        await again.SendAsync(new NodeFrame { Hello = new Hello { Capabilities = TestNode.Capabilities } });
        again.Read();
        Assert.Equal(StatusCode.PermissionDenied, (await again.Ended).StatusCode);
    }

    [Fact]
    public async Task A_stopping_gateway_sends_its_nodes_away()
    {
        var node = await OpenAsync();

        await Host.DisposeAsync();

        await node.Ended;
    }

    [Theory]
    [InlineData("/internal/hub/leases")]
    [InlineData("/internal/hub/revocations")]
    public async Task Only_the_scheduler_may_use_the_hubs_internal_routes(string path)
    {
        using var node = Host.HttpFor(Certificate);
        var offer = Leases.Offer(Node, 1);

        Assert.Equal(HttpStatusCode.Forbidden, (await Host.PostInternalAsync(path, offer, caller: Apps.Catalog)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await Host.PostInternalAsync(path, offer, token: null)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await Host.PostInternalAsync(path, offer, token: "wrong")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await Host.PostInternalAsync(path, offer, at: Host.PublicUrl)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await node.PostAsync(path, null, Token)).StatusCode);
    }

    [Fact]
    public async Task Nothing_for_people_answers_at_the_nodes_listener()
    {
        using var node = Host.HttpFor(Certificate);

        Assert.Equal(HttpStatusCode.NotFound, (await node.GetAsync("/v1/blobs/x", Token)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await node.PostAsync("/v1/uploads", null, Token)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await node.PostAsync("/a2a", null, Token)).StatusCode);
    }

    private async Task AssertRefusedAsync(System.Security.Cryptography.X509Certificates.X509Certificate2 certificate)
    {
        var node = Connect(certificate);

        // Which exception it is depends on how far the client had come when the connection was cut.
        var refused = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await node.SendAsync(new NodeFrame { Hello = new Hello { Capabilities = TestNode.Capabilities } });
            node.Read();
            throw new RpcException(await node.Ended);
        });

        Assert.True(refused is RpcException { StatusCode: StatusCode.Unavailable or StatusCode.Internal } or IOException or HttpRequestException, $"{refused}");
        Assert.Empty(Sidecar.Opened);
    }
}
