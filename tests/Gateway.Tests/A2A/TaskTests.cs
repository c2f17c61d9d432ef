using System.Net;
using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.A2A;

public sealed class TaskTests : IAsyncLifetime
{
    private EdgeHost _host = null!;
    private A2AClient _agent = null!;
    private Device _device = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private FakeScheduler Scheduler => _host.Sidecar.Scheduler;

    public async ValueTask InitializeAsync()
    {
        _host = await EdgeHost.StartAsync(("Gateway:A2A:TailFailureSeconds", "2"));
        _agent = _host.NewAgent(out _device);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private async Task<TaskId> SubmitAsync() => TaskId.TryParse((await _agent.SendMessageAsync(TestData.Submission().Request, Token)).Task!.Id, null, out var id) ? id : default;

    private void Complete(TaskId task) => Scheduler.Append(task, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Completed, UnitsCompleted: 2, ChargedMicrocredits: 7));

    private void FinishUnit(TaskId task, int unit, DateTimeOffset? receivedAt = null) =>
        Scheduler.Append(task, JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: unit, UnitsCompleted: unit + 1, Outputs: [TestData.Output()], ResultReceivedAt: receivedAt));

    private static async Task<List<string>> CollectAsync(IAsyncEnumerable<StreamResponse> stream, Action<StreamResponse>? seen = null)
    {
        var told = new List<string>();
        await foreach (var item in stream)
        {
            told.Add(Tell(item));
            seen?.Invoke(item);
        }

        return told;
    }

    private static string Tell(StreamResponse item) => item switch
    {
        { Task: { } task } => $"task {task.Status.State} {task.Artifacts?.Count ?? 0}",
        { ArtifactUpdate: { } update } => update.Artifact.ArtifactId,
        { StatusUpdate: { } update } => $"{update.Status.State} {(string?)update.Metadata![WellKnown.SealingExtension]!["kind"]}",
        _ => "message",
    };

    [Fact]
    public async Task A_stream_tells_the_whole_job_in_order()
    {
        var (request, spec) = TestData.Submission();
        var task = FakeScheduler.TaskIdOf(_device.Tenant, spec.JobId);

        var told = await CollectAsync(_agent.SendStreamingMessageAsync(request, Token), item =>
        {
            if (item.Task is not null)
            {
                Scheduler.Append(task, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Running));
                Scheduler.Append(task, JobEventKind.UnitLeased, new JobEventBody(UnitIndex: 0, NodeName: "studio-1", AttemptNumber: 1));
                Scheduler.Append(task, JobEventKind.UnitProgress, new JobEventBody(UnitIndex: 0, Progress: 0.5));
                FinishUnit(task, 0);
                FinishUnit(task, 1);
                Complete(task);
            }
        });

        Assert.Equal(["task Submitted 0", "Working statusChanged", "Working unitLeased", "Working unitProgress", "unit-000000", "unit-000001", "Completed statusChanged"], told);
    }

    [Fact]
    public async Task Events_are_written_exactly_like_this()
    {
        var task = await SubmitAsync();
        await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();
        var leased = Scheduler.Append(task, JobEventKind.UnitLeased, new JobEventBody(UnitIndex: 3, UnitCount: 8, NodeName: "studio-1", AttemptNumber: 1));
        await stream.MoveNextAsync();
        var status = JsonSerializer.Serialize(stream.Current, A2AJson.Options);
        var output = TestData.Output();
        Scheduler.Append(task, JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: 3, Outputs: [output]));
        await stream.MoveNextAsync();
        var artifact = JsonSerializer.Serialize(stream.Current, A2AJson.Options);

        var context = leased.ContextId;
        var at = leased.At.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(
            """{"statusUpdate":{"taskId":"@T","contextId":"@C","status":{"state":"TASK_STATE_WORKING","timestamp":"@A"},"metadata":{"https://rendertrust.dev/extensions/sealed-jobs/v1":{"kind":"unitLeased","unitIndex":3,"unitCount":8,"nodeName":"studio-1","attemptNumber":1}}}}"""
                .Replace("@T", task.ToString(), StringComparison.Ordinal).Replace("@C", context, StringComparison.Ordinal).Replace("@A", at, StringComparison.Ordinal),
            status);
        Assert.Equal(
            """{"artifactUpdate":{"taskId":"@T","contextId":"@C","artifact":{"artifactId":"unit-000003","parts":[{"data":{"assetId":"@O","blobSha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","sizeBytes":100,"keyedHash":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","grants":[]},"mediaType":"application/vnd.rendertrust.output+json"}],"metadata":{"unitIndex":3},"extensions":["https://rendertrust.dev/extensions/sealed-jobs/v1"]},"lastChunk":true,"metadata":{"https://rendertrust.dev/extensions/sealed-jobs/v1":{"kind":"unitCompleted","unitIndex":3}}}}"""
                .Replace("@T", task.ToString(), StringComparison.Ordinal).Replace("@C", context, StringComparison.Ordinal).Replace("@O", output.AssetId.ToString(), StringComparison.Ordinal),
            artifact);
    }

    [Fact]
    public async Task A_blocking_send_waits_for_the_end()
    {
        var (request, spec) = TestData.Submission();
        var sending = _agent.SendMessageAsync(request with { Configuration = null }, Token);
        var task = FakeScheduler.TaskIdOf(_device.Tenant, spec.JobId);
        await EdgeHost.UntilAsync(() => !Scheduler.Submissions.IsEmpty, "the submission");
        FinishUnit(task, 0);
        Assert.False(sending.IsCompleted);
        Complete(task);

        var ended = (await sending).Task!;

        Assert.Equal((TaskState.Completed, 1), (ended.Status.State, ended.Artifacts!.Count));
        Assert.Equal(7, (long)ended.Metadata![WellKnown.SealingExtension]!["chargedMicrocredits"]!);
    }

    [Fact]
    public async Task Two_streams_that_join_at_any_moment_tell_the_same_end_and_no_event_twice()
    {
        var task = await SubmitAsync();
        var streams = new List<Task<List<string>>>();
        for (var unit = 0; unit < 40; unit++)
        {
            streams.Add(CollectAsync(_agent.SubscribeToTaskAsync(task.ToString(), Token)));
            FinishUnit(task, unit);
        }

        // The last stream has to be there before the task ends, or it would rightly be refused.
        var last = new TaskCompletionSource();
        streams.Add(CollectAsync(_agent.SubscribeToTaskAsync(task.ToString(), Token), _ => last.TrySetResult()));
        await last.Task;
        await Task.Delay(200, Token);
        Complete(task);

        foreach (var told in await Task.WhenAll(streams))
        {
            var known = int.Parse(told[0].Split(' ')[2], System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal([.. Enumerable.Range(known, 40 - known).Select(unit => $"unit-{unit:D6}"), "Completed statusChanged"], told.Skip(1));
        }
    }

    [Fact]
    public async Task An_event_that_the_tail_missed_is_read_from_the_log()
    {
        var task = await SubmitAsync();
        await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();

        Scheduler.SkippedEvents = 1;
        FinishUnit(task, 0);
        await EdgeHost.UntilAsync(() => Scheduler.SkippedEvents == 0, "the event to be skipped");
        FinishUnit(task, 1);

        var told = new List<string>();
        while (told.Count < 2 && await stream.MoveNextAsync())
        {
            told.Add(Tell(stream.Current));
        }

        Assert.Equal(["unit-000000", "unit-000001"], told);
    }

    [Fact]
    public async Task A_silent_stream_looks_into_the_log()
    {
        await using var host = await EdgeHost.StartAsync(("Gateway:A2A:StreamRecheckSeconds", "1"));
        var agent = host.NewAgent(out var device);
        var (request, spec) = TestData.Submission();
        await using var stream = agent.SendStreamingMessageAsync(request, Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();

        host.Sidecar.Scheduler.SkippedEvents = 1;
        host.Sidecar.Scheduler.Append(FakeScheduler.TaskIdOf(device.Tenant, spec.JobId), JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: 0, Outputs: [TestData.Output()]));

        Assert.True(await stream.MoveNextAsync());
        Assert.Equal("unit-000000", Tell(stream.Current));
    }

    [Fact]
    public async Task A_log_that_does_not_know_the_cursor_makes_every_stream_read_again()
    {
        var task = await SubmitAsync();
        await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();

        Scheduler.RestoreLog();
        FinishUnit(task, 0);

        Assert.True(await stream.MoveNextAsync());
        Assert.Equal("unit-000000", Tell(stream.Current));
    }

    [Fact]
    public async Task A_short_outage_of_the_tail_delays_events_and_loses_none()
    {
        var task = await SubmitAsync();
        await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();

        Scheduler.IsTailDown = true;
        FinishUnit(task, 0);
        var reads = Scheduler.TailReads;
        await EdgeHost.UntilAsync(() => Scheduler.TailReads > reads, "a failed read");
        Scheduler.IsTailDown = false;

        Assert.True(await stream.MoveNextAsync());
        Assert.Equal("unit-000000", Tell(stream.Current));
    }

    [Fact]
    public async Task A_long_outage_ends_streams_with_an_error_and_never_quietly()
    {
        var task = await SubmitAsync();
        await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();

        Scheduler.IsTailDown = true;
        FinishUnit(task, 0);

        var told = await Assert.ThrowsAsync<A2AErrorException>(async () => await stream.MoveNextAsync());
        Assert.Equal("SERVICE_UNAVAILABLE", told.Error.Reason);
        Scheduler.IsTailDown = false;
        Assert.Single((await _agent.GetTaskAsync(task.ToString(), null, Token)).Artifacts!);
    }

    [Fact]
    public async Task Leaving_a_stream_cancels_nothing()
    {
        var task = await SubmitAsync();
        using (var leaving = CancellationTokenSource.CreateLinkedTokenSource(Token))
        {
            await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), leaving.Token).GetAsyncEnumerator(leaving.Token);
            await stream.MoveNextAsync();
            await leaving.CancelAsync();
        }

        FinishUnit(task, 0);
        Complete(task);
        Assert.Equal(TaskState.Completed, (await _agent.GetTaskAsync(task.ToString(), null, Token)).Status.State);
    }

    [Fact]
    public async Task A_task_can_be_canceled_once()
    {
        var task = await SubmitAsync();

        Assert.Equal(TaskState.Canceled, (await _agent.CancelTaskAsync(task.ToString(), Token)).Status.State);

        var again = await Assert.ThrowsAsync<A2AErrorException>(() => _agent.CancelTaskAsync(task.ToString(), Token));
        Assert.Equal(("TASK_NOT_CANCELABLE", "Canceled"), (again.Error.Reason, again.Error.Metadata("state")));
    }

    [Fact]
    public async Task Subscribing_to_an_ended_task_is_refused_and_streaming_a_repeated_job_shows_its_end()
    {
        var (request, spec) = TestData.Submission();
        await _agent.SendMessageAsync(request, Token);
        var task = FakeScheduler.TaskIdOf(_device.Tenant, spec.JobId);
        Complete(task);

        var refused = await Assert.ThrowsAsync<A2AErrorException>(() => CollectAsync(_agent.SubscribeToTaskAsync(task.ToString(), Token)));
        Assert.Equal(A2AErrorCodes.UnsupportedOperation, refused.Error.Code);
        Assert.Equal(["task Completed 0"], await CollectAsync(_agent.SendStreamingMessageAsync(request, Token)));
    }

    [Fact]
    public async Task Another_tenants_task_looks_unknown_everywhere()
    {
        var task = (await SubmitAsync()).ToString();
        var stranger = _host.NewAgent(out _);

        foreach (var id in new[] { task, Guid.CreateVersion7().ToString(), "nonsense" })
        {
            Func<Task>[] calls =
            [
                () => stranger.GetTaskAsync(id, null, Token),
                () => stranger.CancelTaskAsync(id, Token),
                () => CollectAsync(stranger.SubscribeToTaskAsync(id, Token)),
            ];
            foreach (var call in calls)
            {
                var refused = await Assert.ThrowsAsync<A2AErrorException>(call);
                Assert.Equal(A2AError.TaskNotFound(id).Message, refused.Error.Message);
            }
        }

        Assert.Equal(TaskState.Submitted, (await _agent.GetTaskAsync(task, null, Token)).Status.State);
    }

    [Fact]
    public async Task A_task_that_has_ended_is_asked_for_once_and_stays_unknown_to_others()
    {
        var task = await SubmitAsync();
        await _agent.GetTaskAsync(task.ToString(), null, Token);
        var whileRunning = Scheduler.TaskReads;
        FinishUnit(task, 0);
        Complete(task);

        var first = await _agent.GetTaskAsync(task.ToString(), null, Token);
        var reads = Scheduler.TaskReads;
        var second = await _agent.GetTaskAsync(task.ToString(), null, Token);

        Assert.Equal(TaskState.Completed, first.Status.State);
        Assert.Equal(whileRunning + 1, reads);
        Assert.Equal(reads, Scheduler.TaskReads);
        Assert.Equal(JsonSerializer.Serialize(first), JsonSerializer.Serialize(second));
        var refused = await Assert.ThrowsAsync<A2AErrorException>(() => _host.NewAgent(out _).GetTaskAsync(task.ToString(), null, Token));
        Assert.Equal(A2AError.TaskNotFound(task.ToString()).Message, refused.Error.Message);
    }

    [Fact]
    public async Task History_is_the_agents_own_words_and_bounded_as_asked()
    {
        var task = await SubmitAsync();
        Scheduler.Append(task, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Running, Reason: "First unit leased."));
        Scheduler.Append(task, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Running, Reason: "Second node joined."));
        Scheduler.Append(task, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Failed, Reason: "Two nodes failed."));

        var all = await _agent.GetTaskAsync(task.ToString(), null, Token);

        Assert.Equal("Two nodes failed.", all.Status.Message!.Parts[0].Text);
        Assert.Equal(["First unit leased.", "Second node joined."], all.History!.Select(m => m.Parts[0].Text));
        Assert.Equal("Second node joined.", Assert.Single((await _agent.GetTaskAsync(task.ToString(), 1, Token)).History!).Parts[0].Text);
        Assert.Null((await _agent.GetTaskAsync(task.ToString(), 0, Token)).History);
    }

    [Fact]
    public async Task The_return_time_of_a_live_result_is_handed_over()
    {
        var task = await SubmitAsync();
        await using var stream = _agent.SubscribeToTaskAsync(task.ToString(), Token).GetAsyncEnumerator(Token);
        await stream.MoveNextAsync();
        FinishUnit(task, 0, DateTimeOffset.UtcNow);
        await stream.MoveNextAsync();

        await EdgeHost.UntilAsync(() => Scheduler.Timings.Any(t => t.Name == "return"), "a return timing");
        Assert.InRange(Scheduler.Timings.Single(t => t.Name == "return").Milliseconds, 0, 30_000);
    }

    [Fact]
    public async Task The_card_shows_modules_prices_sign_in_and_sealing()
    {
        using var http = new HttpClient();
        var card = await A2AClient.GetAgentCardAsync(http, _host.Gateway, Token);

        Assert.Equal((_host.Gateway + "a2a", "JSONRPC", "1.0"), (card.SupportedInterfaces[0].Url, card.SupportedInterfaces[0].ProtocolBinding, card.SupportedInterfaces[0].ProtocolVersion));
        Assert.Equal(["sealed-job", "povray"], card.Skills.Select(skill => skill.Id));
        Assert.Contains("0.06 credits per CPU-minute", card.Skills[1].Description, StringComparison.Ordinal);
        Assert.Equal(WellKnown.SealingExtension, card.Capabilities.Extensions![0].Uri);
        Assert.Equal(["device", "apiKey"], card.SecurityRequirements!.Select(r => r.Schemes.Single().Key));
        Assert.True(card.Capabilities.Streaming);
        Assert.Null(card.Capabilities.ExtendedAgentCard);

        using var first = await http.GetAsync(new Uri(_host.Gateway, A2AHeaders.AgentCardPath), Token);
        using var again = new HttpRequestMessage(HttpMethod.Get, new Uri(_host.Gateway, A2AHeaders.AgentCardPath));
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await http.SendAsync(again, Token);
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
    }
}
