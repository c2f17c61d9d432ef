using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.Gateway.Blobs;
using RenderTrust.Gateway.Tests.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>What nodes report: heartbeats, progress, results.</summary>
public sealed class ReportTests(TestDatabase database) : HubTest(database)
{
    [Fact]
    public async Task Heartbeats_are_echoed_at_once_and_go_on_in_batches()
    {
        var node = await OpenAsync();

        for (var beat = 1; beat <= 10; beat++)
        {
            await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch, SentUnixMs = beat, BusySlots = beat, LastRoundTripMs = 1.5 } });
        }

        Assert.Equal(10, (await node.NextAsync(frame => frame.HeartbeatEcho, index: 9)).SentUnixMs);
        await Wait.ForAsync(() => Sidecar.Heartbeats.SelectMany(batch => batch.Heartbeats).LastOrDefault()?.BusySlots, busy => busy == 10);
        var last = Sidecar.Heartbeats.SelectMany(batch => batch.Heartbeats).Last();
        Assert.Equal((Node, node.Epoch, 1.5), (last.NodeId, last.Epoch, last.RoundTripMs));
        Assert.InRange(Sidecar.Heartbeats.Count, 1, 3);
        Assert.All(Sidecar.Heartbeats, batch => Assert.Equal(Apps.Gateway, batch.HubAppId));
    }

    [Fact]
    public async Task A_heartbeat_of_another_epoch_is_not_reported()
    {
        var node = await OpenAsync();

        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch - 1, SentUnixMs = 1, BusySlots = 99 } });
        await node.SendAsync(new NodeFrame { Result = Leases.Result(AttemptId.New()).Result });
        await node.NextAsync(frame => frame.ResultAck);
        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch, SentUnixMs = 2, BusySlots = 1 } });

        await Wait.ForAsync(() => Sidecar.Heartbeats.Count, count => count > 0);
        Assert.DoesNotContain(Sidecar.Heartbeats.SelectMany(batch => batch.Heartbeats), beat => beat.BusySlots == 99);
    }

    [Fact]
    public async Task Of_many_reports_of_progress_the_newest_goes_on()
    {
        var node = await OpenAsync();
        var attempt = AttemptId.New();

        for (var step = 1; step <= 200; step++)
        {
            await node.SendAsync(new NodeFrame { Progress = new Progress { AttemptId = attempt.ToString(), FencingToken = 17, Fraction = step / 200.0 } });
        }

        await Wait.ForAsync(() => Sidecar.Progress.SelectMany(batch => batch.Reports).LastOrDefault()?.Progress, progress => progress == 1.0);
        Assert.InRange(Sidecar.Progress.Count, 1, 50);
        Assert.All(Sidecar.Progress.SelectMany(batch => batch.Reports), report => Assert.Equal((Node, node.Epoch, attempt, 17L), (report.NodeId, report.Epoch, report.AttemptId, report.FencingToken)));
    }

    [Fact]
    public async Task Progress_of_more_attempts_than_the_node_has_slots_is_dropped()
    {
        var node = await OpenAsync();

        for (var attempt = 0; attempt < 100; attempt++)
        {
            await node.SendAsync(new NodeFrame { Progress = new Progress { AttemptId = AttemptId.New().ToString(), FencingToken = 1, Fraction = 0.5 } });
        }

        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch } });
        await node.NextAsync(frame => frame.HeartbeatEcho);
        await Wait.ForAsync(() => Sidecar.Progress.Count, count => count > 0);
        Assert.All(Sidecar.Progress, batch => Assert.InRange(batch.Reports.Count, 1, TestNode.Capabilities.Slots));
    }

    [Fact]
    public async Task Progress_that_cannot_be_is_put_right()
    {
        var node = await OpenAsync();
        double[] said = [-1, 2, double.NaN, double.PositiveInfinity];

        foreach (var fraction in said)
        {
            var before = Sidecar.Progress.Sum(batch => batch.Reports.Count);
            await node.SendAsync(new NodeFrame { Progress = new Progress { AttemptId = AttemptId.New().ToString(), FencingToken = 1, Fraction = fraction } });
            await Wait.ForAsync(() => Sidecar.Progress.Sum(batch => batch.Reports.Count), count => count == before + 1);
        }

        Assert.All(Sidecar.Progress.SelectMany(batch => batch.Reports), report => Assert.InRange(report.Progress, 0, 1));
    }

    [Fact]
    public async Task Progress_that_the_scheduler_refuses_holds_no_heartbeat_back()
    {
        Sidecar.ProgressIsRefused = true;
        var node = await OpenAsync();

        for (var beat = 1; beat <= 3; beat++)
        {
            await node.SendAsync(new NodeFrame { Progress = new Progress { AttemptId = AttemptId.New().ToString(), FencingToken = 1, Fraction = 0.5 } });
            await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch, BusySlots = beat } });
            await Wait.ForAsync(() => Sidecar.Heartbeats.SelectMany(batch => batch.Heartbeats).LastOrDefault()?.BusySlots, busy => busy == beat);
        }
    }

    [Theory]
    [InlineData(ResultOutcome.Accepted, "accepted")]
    [InlineData(ResultOutcome.AlreadyAccepted, "alreadyAccepted")]
    [InlineData(ResultOutcome.UnknownAttempt, "unknownAttempt")]
    [InlineData(ResultOutcome.StaleToken, "staleToken")]
    [InlineData(ResultOutcome.JobEnded, "jobEnded")]
    public async Task A_result_is_acknowledged_with_what_the_scheduler_said(ResultOutcome outcome, string expected)
    {
        Sidecar.Judge = _ => Task.FromResult<ResultOutcome?>(outcome);
        var node = await OpenAsync();
        var attempt = AttemptId.New();
        var before = DateTimeOffset.UtcNow;

        await node.SendAsync(Leases.Result(attempt));

        var ack = await node.NextAsync(frame => frame.ResultAck);
        Assert.Equal((attempt.ToString(), 17L, expected), (ack.AttemptId, ack.FencingToken, ack.Outcome));
        var report = Assert.Single(Sidecar.Results);
        Assert.Equal((Node, node.Epoch, attempt, 17L, true, 1234L), (report.NodeId, report.Epoch, report.AttemptId, report.FencingToken, report.Succeeded, report.MeteredMilliseconds));
        Assert.Equal(new string('c', 64), Assert.Single(report.Outputs).BlobSha256);
        Assert.InRange(report.ReceivedAt, before, DateTimeOffset.UtcNow);
    }

    [Fact]
    public async Task The_time_of_a_result_is_its_arrival_and_not_its_turn()
    {
        var release = new TaskCompletionSource();
        Sidecar.Judge = async _ =>
        {
            await release.Task;
            return ResultOutcome.Accepted;
        };
        var node = await OpenAsync();
        await node.SendAsync(Leases.Result(AttemptId.New()));
        await node.SendAsync(Leases.Result(AttemptId.New()));
        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch } });
        await node.NextAsync(frame => frame.HeartbeatEcho);

        var read = DateTimeOffset.UtcNow;
        release.SetResult();

        await node.NextAsync(frame => frame.ResultAck, index: 1);
        Assert.All(Sidecar.Results, report => Assert.True(report.ReceivedAt <= read));
    }

    [Fact]
    public async Task A_result_whose_fate_is_unknown_is_not_acknowledged_and_is_taken_when_it_comes_again()
    {
        var lost = true;
        Sidecar.Judge = _ => Task.FromResult(lost ? (ResultOutcome?)null : ResultOutcome.AlreadyAccepted);
        var node = await OpenAsync();
        var attempt = AttemptId.New();

        await node.SendAsync(Leases.Result(attempt));
        await Wait.ForAsync(() => Sidecar.Results.Count, count => count == 1);
        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch } });
        await node.NextAsync(frame => frame.HeartbeatEcho);
        Assert.DoesNotContain(node.Frames, frame => frame.ResultAck is not null);
        lost = false;
        await node.SendAsync(Leases.Result(attempt));

        Assert.Equal("alreadyAccepted", (await node.NextAsync(frame => frame.ResultAck)).Outcome);
    }

    [Fact]
    public async Task A_result_that_was_not_acknowledged_is_taken_on_the_next_stream()
    {
        var lost = true;
        Sidecar.Judge = _ => Task.FromResult(lost ? (ResultOutcome?)null : ResultOutcome.Accepted);
        var first = await OpenAsync();
        var attempt = AttemptId.New();
        await first.SendAsync(Leases.Result(attempt));
        await Wait.ForAsync(() => Sidecar.Results.Count, count => count == 1);
        first.Dispose();
        lost = false;

        var second = await OpenAsync();
        await second.SendAsync(Leases.Result(attempt));

        Assert.Equal("accepted", (await second.NextAsync(frame => frame.ResultAck)).Outcome);
        Assert.Equal(second.Epoch, Sidecar.Results.Last().Epoch);
    }

    [Fact]
    public async Task Repeated_and_reordered_frames_are_each_answered_and_end_nothing()
    {
        var node = await OpenAsync();
        var (first, second) = (AttemptId.New(), AttemptId.New());

        await node.SendAsync(Leases.Result(second));
        await node.SendAsync(Leases.Result(first));
        await node.SendAsync(Leases.Result(first));
        await node.SendAsync(new NodeFrame { RevokeAck = new RevokeAck { AttemptId = first.ToString() } });
        await node.SendAsync(new NodeFrame { Progress = new Progress { AttemptId = first.ToString(), Fraction = 0.1 } });
        await node.SendAsync(new NodeFrame { LeaseAck = new LeaseAck { AttemptId = first.ToString(), FencingToken = 17, Accepted = true } });

        await node.NextAsync(frame => frame.ResultAck, index: 2);
        Assert.Equal([second, first, first], Sidecar.Results.Select(report => report.AttemptId));
        await node.SendAsync(new NodeFrame { Heartbeat = new Heartbeat { Epoch = node.Epoch } });
        await node.NextAsync(frame => frame.HeartbeatEcho);
    }

    [Fact]
    public async Task While_a_result_waits_for_the_scheduler_leases_are_acknowledged()
    {
        var release = new TaskCompletionSource();
        Sidecar.Judge = async _ =>
        {
            await release.Task;
            return ResultOutcome.Accepted;
        };
        var node = await OpenAsync();
        await node.SendAsync(Leases.Result(AttemptId.New()));

        var answering = Host.OfferAsync(Leases.Offer(Node, node.Epoch));
        await node.AcknowledgeAsync(await node.NextAsync(frame => frame.Offer));

        Assert.Equal(LeaseOfferOutcome.Acknowledged, (await answering).Outcome);
        release.SetResult();
        await node.NextAsync(frame => frame.ResultAck);
    }

    [Theory]
    [InlineData("not-a-uuid", null, 1)]
    [InlineData(null, "ABC", 1)]
    [InlineData(null, null, 0)]
    public async Task A_result_that_cannot_be_understood_is_settled_as_the_nodes_failure(string? assetId, string? sha256, int size)
    {
        var node = await OpenAsync();
        var frame = Leases.Result(AttemptId.New());
        var output = frame.Result.Outputs[0];
        (output.AssetId, output.BlobSha256, output.SizeBytes) = (assetId ?? output.AssetId, sha256 ?? output.BlobSha256, size);

        await node.SendAsync(frame);

        await node.NextAsync(answer => answer.ResultAck);
        var report = Assert.Single(Sidecar.Results);
        Assert.Equal((false, "internal", 0), (report.Succeeded, report.FailureClass, report.Outputs.Count));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_success_counts_only_if_the_outputs_were_uploaded_for_the_jobs_tenant(bool leasedOnThisStream, bool uploaded)
    {
        var creator = TenantId.New();
        var output = SealedBytes.Random(1000);
        var store = Host.Services.GetRequiredService<IBlobStore>();
        await store.PutAsync(uploaded ? creator : TenantId.New(), output.Sha256, output.Open(), Token);
        var attempt = AttemptId.New();
        Sidecar.Live = leasedOnThisStream ? [] : [new LiveAttempt(attempt, creator)];
        var node = await OpenAsync();
        if (leasedOnThisStream)
        {
            var offer = Leases.Offer(Node, node.Epoch, creator);
            attempt = offer.AttemptId;
            var answering = Host.OfferAsync(offer);
            await node.AcknowledgeAsync(await node.NextAsync(frame => frame.Offer));
            await answering;
        }

        var result = Leases.Result(attempt);
        result.Result.Outputs[0].BlobSha256 = output.Sha256;
        await node.SendAsync(result);

        await node.NextAsync(frame => frame.ResultAck);
        var report = Assert.Single(Sidecar.Results);
        Assert.Equal((uploaded, uploaded ? null : "internal", uploaded ? 1 : 0), (report.Succeeded, report.FailureClass, report.Outputs.Count));
        Assert.Equal(!uploaded, report.FailureReason?.Contains("output blob not uploaded", StringComparison.Ordinal) ?? false);
    }

    [Fact]
    public async Task A_success_of_an_attempt_that_the_node_does_not_hold_is_handed_on_as_none()
    {
        Sidecar.Live = [];
        var node = await OpenAsync();

        await node.SendAsync(Leases.Result(AttemptId.New()));

        await node.NextAsync(frame => frame.ResultAck);
        Assert.Equal((false, "internal"), Sidecar.Results.Select(report => (report.Succeeded, report.FailureClass)).Single());
    }

    [Theory]
    [InlineData(400)]
    [InlineData(413)]
    [InlineData(422)]
    public async Task A_result_that_the_scheduler_refuses_for_good_is_reported_once_more_as_a_failure(int status)
    {
        Sidecar.RefuseOutputsWith = status;
        var node = await OpenAsync();

        await node.SendAsync(Leases.Result(AttemptId.New()));

        Assert.Equal("accepted", (await node.NextAsync(frame => frame.ResultAck)).Outcome);
        Assert.Equal([(true, 1, null), (false, 0, "internal")], Sidecar.Results.Select(report => (report.Succeeded, report.Outputs.Count, report.FailureClass)));
    }

    [Fact]
    public async Task A_frame_of_no_known_attempt_ends_the_stream_with_the_reason()
    {
        var node = await OpenAsync();

        await node.SendAsync(new NodeFrame { Result = new UnitResult { AttemptId = "7" } });

        Assert.Equal(StatusCode.InvalidArgument, (await node.Ended).StatusCode);
    }

    [Fact]
    public async Task A_silent_node_is_let_go()
    {
        await using var host = await StartAnotherAsync(Path.Combine(Folder, "silent"), ("Gateway:Hub:SilenceSeconds", "1"));
        await host.ReadyAsync();
        var node = await Keep(host.Connect(Certificate)).OpenAsync();

        Assert.Contains("Nothing was heard", (await node.Ended).Detail, StringComparison.Ordinal);
    }
}
