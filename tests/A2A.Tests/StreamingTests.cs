using System.Net;
using System.Text;

namespace RenderTrust.A2A.Tests;

public sealed class StreamingTests : IAsyncLifetime
{
    private const string Stream = """{"jsonrpc":"2.0","id":"s","method":"SendStreamingMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}]}}}""";

    private static readonly SendMessageRequest Request = new() { Message = new Message { MessageId = "m", Role = Role.User, Parts = [Part.FromText("x")] } };

    private AgentHost _host = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static StreamResponse Working => StreamResponse.Of(new TaskStatusUpdateEvent { TaskId = "t1", ContextId = "c1", Status = new AgentTaskStatus { State = TaskState.Working } });

    public async ValueTask InitializeAsync() => _host = await AgentHost.StartAsync();

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task A_stream_is_one_data_line_per_event()
    {
        await _host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(ScriptedAgent.Task(TaskState.Submitted)), Token);
        await _host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(new TaskArtifactUpdateEvent { TaskId = "t1", ContextId = "c1", Artifact = new Artifact { ArtifactId = "a", Parts = [Part.FromText("two\nlines")] } }), Token);
        _host.Agent.Events.Writer.Complete();

        using var response = await _host.PostAsync(Stream);
        var text = await response.Content.ReadAsStringAsync(Token);

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
        Assert.Equal(
            """
            data: {"jsonrpc":"2.0","id":"s","result":{"task":{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_SUBMITTED"}}}}

            data: {"jsonrpc":"2.0","id":"s","result":{"artifactUpdate":{"taskId":"t1","contextId":"c1","artifact":{"artifactId":"a","parts":[{"text":"two\nlines"}]}}}}


            """,
            text);
        Assert.Equal(2, _host.Agent.Flushed.Count);
    }

    [Fact]
    public async Task Each_event_arrives_before_the_next_one_is_made()
    {
        await _host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(ScriptedAgent.Task(TaskState.Submitted)), Token);
        await using var events = _host.Client.SendStreamingMessageAsync(Request, Token).GetAsyncEnumerator(Token);

        Assert.True(await events.MoveNextAsync());
        Assert.Equal("t1", events.Current.Task!.Id);
        await _host.Agent.Events.Writer.WriteAsync(Working, Token);
        Assert.True(await events.MoveNextAsync());
        Assert.Equal(TaskState.Working, events.Current.StatusUpdate!.Status.State);
        _host.Agent.Events.Writer.Complete();
        Assert.False(await events.MoveNextAsync());
    }

    [Fact]
    public async Task An_error_before_the_first_event_is_an_ordinary_answer()
    {
        var refused = await Assert.ThrowsAsync<A2AErrorException>(async () =>
        {
            await foreach (var _ in _host.Client.SubscribeToTaskAsync("nope", Token))
            {
            }
        });

        Assert.Equal(("TASK_NOT_FOUND", "nope"), (refused.Error.Reason, refused.Error.Metadata("taskId")));
    }

    [Fact]
    public async Task A_stream_that_breaks_ends_with_an_error_and_never_quietly()
    {
        await _host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(ScriptedAgent.Task(TaskState.Working)), Token);
        await _host.Agent.Events.Writer.WriteAsync(null, Token);
        var seen = 0;

        var broken = await Assert.ThrowsAsync<A2AErrorException>(async () =>
        {
            await foreach (var _ in _host.Client.SendStreamingMessageAsync(Request, Token))
            {
                seen++;
            }
        });

        Assert.Equal((1, A2AErrorCodes.InternalError), (seen, broken.Error.Code));
    }

    [Fact]
    public async Task A_client_that_leaves_ends_its_stream_and_only_that()
    {
        await _host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(ScriptedAgent.Task(TaskState.Working)), Token);
        using (var leaving = CancellationTokenSource.CreateLinkedTokenSource(Token))
        {
            await using var events = _host.Client.SendStreamingMessageAsync(Request, leaving.Token).GetAsyncEnumerator(leaving.Token);
            Assert.True(await events.MoveNextAsync());
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await events.MoveNextAsync());
        }

        await _host.Agent.StreamEnded.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal("t1", (await _host.Client.GetTaskAsync("t1", null, Token)).Id);
    }

    [Fact]
    public async Task Silence_is_broken_by_comments_that_clients_do_not_see()
    {
        await using var host = await AgentHost.StartAsync(options => options.PingSeconds = 1);
        await host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(ScriptedAgent.Task(TaskState.Working)), Token);
        using var response = await host.PostAsync(Stream);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token), Encoding.UTF8);

        var lines = new List<string?>();
        while (lines.LastOrDefault() != ": ping")
        {
            lines.Add(await reader.ReadLineAsync(Token));
        }

        Assert.StartsWith("data: ", lines[0], StringComparison.Ordinal);
        await host.Agent.Events.Writer.WriteAsync(Working, Token);
        host.Agent.Events.Writer.Complete();
        Assert.Contains("TASK_STATE_WORKING", await reader.ReadToEndAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_stops_says_so_on_open_streams()
    {
        await _host.Agent.Events.Writer.WriteAsync(StreamResponse.Of(ScriptedAgent.Task(TaskState.Working)), Token);
        await using var events = _host.Client.SendStreamingMessageAsync(Request, Token).GetAsyncEnumerator(Token);
        Assert.True(await events.MoveNextAsync());

        var stopping = _host.StopAsync();
        var told = await Assert.ThrowsAsync<A2AErrorException>(async () => await events.MoveNextAsync());
        await stopping;

        Assert.Contains("SubscribeToTask", told.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_is_not_json_rpc_keeps_its_status_and_detail()
    {
        var lost = new A2AClient(_host.Http, new Uri(_host.Http.BaseAddress!, "/elsewhere"));

        var failure = await Assert.ThrowsAsync<A2AHttpException>(() => lost.GetTaskAsync("t1", null, Token));

        Assert.Equal(HttpStatusCode.NotFound, failure.Status);
    }

    [Fact]
    public async Task A_message_can_be_the_answer()
    {
        var request = Request with { Message = Request.Message! with { Parts = [Part.FromText("message")] } };

        var answer = await _host.Client.SendMessageAsync(request, Token);

        Assert.Equal("hello", answer.Message!.Parts[0].Text);
        Assert.Null(answer.Task);
    }
}
