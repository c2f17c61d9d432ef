using System.Text.Json;
using Dapr.Workflow;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>Dapr's own JavaScript SDK against our sidecar: as worker with our client, as client with our worker, and as a plain app.</summary>
public sealed class DaprJsTests(World world) : IClassFixture<World>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static string NewId() => Guid.CreateVersion7().ToString("N");

    [Fact]
    public async Task A_javascript_worker_runs_workflows_that_our_client_drives()
    {
        await using var worker = await Node.StartAsync("worker.mjs", new { grpcPort = world.Sidecar.Two.Grpc, token = world.Sidecar.ApiToken });
        await Wait.UntilAsync("the worker has started", () => worker.Said.Contains("started", StringComparison.Ordinal), () => worker.Said);
        await using var app = await world.StartAppAsync(_ => { }, second: true);
        var id = await app.Client.ScheduleNewWorkflowAsync("JsJourney", NewId(), new { number = 5, seen = Array.Empty<string>() });

        foreach (var (round, word) in new[] { (0, "first"), (1, "second") })
        {
            await Wait.UntilAsync(
                $"round {round} waits", async () => (await app.Client.GetWorkflowStateAsync(id, cancellation: Token)).ReadCustomStatusAs<string>() == $"waiting {round}", () => worker.Said);
            await app.Client.RaiseEventAsync(id, "go", word, Token);
        }

        var state = await app.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token);
        Assert.True(state.RuntimeStatus == WorkflowRuntimeStatus.Completed, $"{state.RuntimeStatus} {state.FailureDetails}\n{worker.Said}");
        var output = state.ReadOutputAs<JsonElement>();
        Assert.Equal(["first 21", "second 85"], output.GetProperty("seen").EnumerateArray().Select(entry => entry.GetString()));
        Assert.Equal([2, 4], output.GetProperty("sides").EnumerateArray().Select(side => side.GetInt32()));
        Assert.Contains("refused in JavaScript", output.GetProperty("refusal").GetString(), StringComparison.Ordinal);
        Assert.Contains(await app.Client.GetInstanceHistoryAsync(id, Token), entry => entry.EventType == Dapr.Workflow.Client.WorkflowHistoryEventType.TaskFailed);
    }

    [Fact]
    public async Task A_javascript_client_drives_workflows_that_our_worker_runs()
    {
        var ids = new { render = NewId(), child = NewId(), parent = NewId(), grandchild = NewId(), tally = NewId(), doomed = NewId() };

        var said = await Node.RunAsync("client.mjs", new { grpcPort = world.Sidecar.One.Grpc, token = world.Sidecar.ApiToken, ids });

        (string?, string?) Ended(string name) => (said.GetProperty(name).GetProperty("status").GetString(), said.GetProperty(name).GetProperty("output").GetString());
        Assert.Equal(("COMPLETED", """{"scene":"teapot","sizes":[100,200],"note":"thanks for teapot"}"""), Ended("render"));
        Assert.Equal(("RUNNING", "SUSPENDED"), (said.GetProperty("started").GetString(), said.GetProperty("suspended").GetString()));
        Assert.Equal(("COMPLETED", "\"hello (js)\""), Ended("child"));
        Assert.Equal(("COMPLETED", "\"child failed: told to\""), Ended("parent"));
        Assert.Equal(("COMPLETED", "[3]"), Ended("tally"));
        Assert.Equal(("TERMINATED", "\"enough\""), Ended("doomed"));
        Assert.True(said.GetProperty("purged").GetBoolean());
        Assert.Equal(JsonValueKind.Null, said.GetProperty("afterPurge").ValueKind);
        Assert.Equal(6, said.GetProperty("refused").GetInt32());
    }

    [Fact]
    public async Task A_javascript_app_saves_state_publishes_to_itself_and_is_invoked()
    {
        var said = await Node.RunAsync("app.mjs", new
        {
            appPort = world.Sidecar.JsAppPort, httpPort = world.Sidecar.Js.Http, grpcPort = world.Sidecar.Js.Grpc, token = world.Sidecar.ApiToken,
        });

        foreach (var protocol in new[] { "http", "grpc" })
        {
            Assert.Equal(7, said.GetProperty(protocol).GetProperty("saved").GetProperty("number").GetInt32());
            Assert.Equal("", said.GetProperty(protocol).GetProperty("deleted").ToString());
            Assert.Equal("two", said.GetProperty(protocol).GetProperty("other").GetString());
        }

        Assert.Equal("rendered", said.GetProperty("heard").GetProperty("headline").GetString());
        Assert.Equal("hello", said.GetProperty("echo").GetProperty("said").GetProperty("word").GetString());
        Assert.Equal("js", said.GetProperty("appId").GetString());
    }
}
