using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using DaprGrpc = Dapr.Client.Autogen.Grpc.v1.Dapr;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>The workflow block of the Dapr API, over HTTP and over gRPC.</summary>
public sealed class HttpTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private WorkflowRig rig = null!;

    public async ValueTask InitializeAsync() => rig = await WorkflowRig.StartAsync(database);

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Theory]
    [InlineData("v1.0")]
    [InlineData("v1.0-beta1")]
    [InlineData("v1.0-alpha1")]
    public async Task A_workflow_lives_its_life_over_http(string version)
    {
        await using var worker = await rig.WorkerAsync();
        var url = $"{rig.One.Http}/{version}/workflows/dapr";
        var start = rig.Sidecar.Client.PostAsync($"{url}/wf/start?instanceID=h", new StringContent("{\"raw\": true}"), Token);
        var first = await worker.NextTurnAsync();
        await worker.AnswerAsync(first, response => response.CustomStatus = "\"s\"");
        using var started = await start;
        var pause = rig.Sidecar.Client.PostAsync($"{url}/h/pause", null, Token);
        await worker.AnswerAsync(await worker.NextTurnAsync());
        using var paused = await pause;
        var suspended = await GetAsync(url, "h");
        var resume = rig.Sidecar.Client.PostAsync($"{url}/h/resume", null, Token);
        await worker.AnswerAsync(await worker.NextTurnAsync());
        using var resumed = await resume;
        using var raised = await rig.Sidecar.Client.PostAsync($"{url}/h/raiseEvent/done", new StringContent("\"e\""), Token);
        var heard = await worker.NextTurnAsync();
        await worker.AnswerAsync(heard, Do.Complete("{\"out\":1}"));
        await rig.CompletedAsync("h");
        var ended = await GetAsync(url, "h");
        using var purged = await rig.Sidecar.Client.PostAsync($"{url}/h/purge", null, Token);
        using var gone = await rig.Sidecar.Client.GetAsync($"{url}/h", Token);

        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        Assert.Equal("""{"instanceID":"h"}""", await started.Content.ReadAsStringAsync(Token));
        Assert.Equal("{\"raw\": true}", first.WorkflowRequest.NewEvents[1].ExecutionStarted.Input);
        Assert.All((HttpResponseMessage[])[paused, resumed, raised, purged], answer => Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode));
        Assert.Equal("SUSPENDED", suspended.GetProperty("runtimeStatus").GetString());
        Assert.Equal(("done", "\"e\""), (heard.WorkflowRequest.NewEvents[1].EventRaised.Name, heard.WorkflowRequest.NewEvents[1].EventRaised.Input));
        Assert.Equal(("h", "wf", "COMPLETED"), (ended.GetProperty("instanceID").GetString(), ended.GetProperty("workflowName").GetString(), ended.GetProperty("runtimeStatus").GetString()));
        Assert.Equal("{\"raw\": true}", ended.GetProperty("properties").GetProperty("dapr.workflow.input").GetString());
        Assert.Equal("{\"out\":1}", ended.GetProperty("properties").GetProperty("dapr.workflow.output").GetString());
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task A_termination_over_http_waits_for_the_end()
    {
        await using var worker = await rig.WorkerAsync();
        var start = rig.Start("t");
        await worker.AnswerAsync(await worker.NextTurnAsync());
        await start;
        var end = rig.Sidecar.Client.PostAsync($"{rig.One.Http}/v1.0/workflows/dapr/t/terminate", null, Token);
        var turn = await worker.NextTurnAsync();
        await worker.AnswerAsync(turn, Do.Complete(status: OrchestrationStatus.Terminated));
        using var ended = await end;

        Assert.True(turn.WorkflowRequest.NewEvents[^1].ExecutionTerminated.Recurse);
        Assert.Equal(HttpStatusCode.Accepted, ended.StatusCode);
    }

    [Theory]
    [InlineData("POST", "wf/start?instanceID=has%20space", 400, "ERR_INSTANCE_ID_INVALID")]
    [InlineData("POST", "wf/start?instanceID=0123456789012345678901234567890123456789012345678901234567890123456789", 400, "ERR_INSTANCE_ID_TOO_LONG")]
    [InlineData("GET", "none", 404, "ERR_INSTANCE_ID_NOT_FOUND")]
    [InlineData("POST", "none/terminate", 404, "ERR_INSTANCE_ID_NOT_FOUND")]
    [InlineData("POST", "none/purge", 404, "ERR_INSTANCE_ID_NOT_FOUND")]
    [InlineData("POST", "none/pause", 404, "ERR_PAUSE_WORKFLOW")]
    [InlineData("POST", "none/resume", 404, "ERR_RESUME_WORKFLOW")]
    [InlineData("POST", "none/raiseEvent/x", 404, "ERR_RAISE_EVENT_WORKFLOW")]
    [InlineData("GET", "a%7C%7Cb", 400, "ERR_GET_WORKFLOW")]
    public async Task Refusals_have_daprds_codes(string verb, string path, int status, string code)
    {
        using var request = new HttpRequestMessage(new HttpMethod(verb), $"{rig.One.Http}/v1.0/workflows/dapr/{path}");
        using var answer = await rig.Sidecar.Client.SendAsync(request, Token);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>(Token);

        Assert.Equal((status, code), ((int)answer.StatusCode, body.GetProperty("errorCode").GetString()));
        Assert.NotEmpty(body.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task The_dapr_service_has_the_same_rpcs()
    {
        await using var worker = await rig.WorkerAsync();
        using var channel = GrpcChannel.ForAddress(rig.One.Grpc);
        var dapr = new DaprGrpc.DaprClient(channel);
        var start = dapr.StartWorkflowBeta1Async(new StartWorkflowRequest { InstanceId = "g", WorkflowName = "wf", WorkflowComponent = "dapr", Input = ByteString.CopyFromUtf8("7") }, cancellationToken: Token);
        var first = await worker.NextTurnAsync();
        await worker.AnswerAsync(first);
        var started = await start;
        await dapr.RaiseEventWorkflowBeta1Async(new RaiseEventWorkflowRequest { InstanceId = "g", EventName = "x", EventData = ByteString.CopyFromUtf8("8") }, cancellationToken: Token);
        await worker.AnswerAsync(await worker.NextTurnAsync(), Do.Complete(status: OrchestrationStatus.Failed, failure: new TaskFailureDetails { ErrorType = "E", ErrorMessage = "m" }));
        await rig.CompletedAsync("g");
        var state = await dapr.GetWorkflowBeta1Async(new GetWorkflowRequest { InstanceId = "g" }, cancellationToken: Token);
        var unknown = await dapr.GetWorkflowBeta1Async(new GetWorkflowRequest { InstanceId = "none" }, cancellationToken: Token);
        var invalid = await WorkflowRig.RefusedAsync(dapr.StartWorkflowBeta1Async(new StartWorkflowRequest { InstanceId = "a b", WorkflowName = "wf" }, cancellationToken: Token));
        var nameless = await WorkflowRig.RefusedAsync(dapr.StartWorkflowBeta1Async(new StartWorkflowRequest(), cancellationToken: Token));
        await dapr.PurgeWorkflowBeta1Async(new PurgeWorkflowRequest { InstanceId = "g" }, cancellationToken: Token);

        Assert.Equal("g", started.InstanceId);
        Assert.Equal("7", first.WorkflowRequest.NewEvents[1].ExecutionStarted.Input);
        Assert.Equal(("wf", "FAILED", "E"), (state.WorkflowName, state.RuntimeStatus, state.Properties["dapr.workflow.failure.error_type"]));
        Assert.Equal(("none", ""), (unknown.InstanceId, unknown.RuntimeStatus));
        Assert.Equal((StatusCode.InvalidArgument, StatusCode.InvalidArgument), (invalid.StatusCode, nameless.StatusCode));
        Assert.Null(await rig.StateAsync("g"));
    }

    private async Task<JsonElement> GetAsync(string url, string id) => await rig.Sidecar.Client.GetFromJsonAsync<JsonElement>($"{url}/{id}", Token);

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
