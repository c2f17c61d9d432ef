using Google.Protobuf;
using Grpc.Core;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Workflows;

/// <summary>The workflow rpcs of the Dapr service.</summary>
public sealed class WorkflowGrpcTests(World world, WorkflowWorker worker) : IClassFixture<WorkflowWorker>
{
    private Rpc.Dapr.DaprClient Dapr => world.Main.Rpc;

    [Fact]
    public async Task A_workflow_runs_to_its_end()
    {
        var id = await StartAsync("Double", "\"ab\"");

        await UntilAsync(id, "COMPLETED");

        var state = await GetAsync(id);
        Assert.Equal(("Double", "\"abab\""), (state.WorkflowName, state.Properties["dapr.workflow.output"]));
    }

    [Fact]
    public async Task A_workflow_is_steered()
    {
        var id = await StartAsync("Wait");
        await Dapr.PauseWorkflowBeta1Async(new Rpc.PauseWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr" });
        await UntilAsync(id, "SUSPENDED");
        await Dapr.ResumeWorkflowBeta1Async(new Rpc.ResumeWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr" });
        await Dapr.RaiseEventWorkflowBeta1Async(new Rpc.RaiseEventWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr", EventName = "go", EventData = ByteString.CopyFromUtf8("\"now\"") });

        await UntilAsync(id, "COMPLETED");
        await Dapr.PurgeWorkflowBeta1Async(new Rpc.PurgeWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr" });

        Assert.NotEqual("COMPLETED", await StatusAsync(id));
    }

    [Fact]
    public async Task A_workflow_is_terminated()
    {
        var id = await StartAsync("Wait");
        await Dapr.TerminateWorkflowBeta1Async(new Rpc.TerminateWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr" });

        await UntilAsync(id, "TERMINATED");
    }

    [Theory]
    [InlineData("has.dots")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789")]
    public Task An_id_of_this_form_is_an_invalid_argument(string id) => Refusal.HasStatusAsync(StatusCode.InvalidArgument,
        Dapr.StartWorkflowBeta1Async(new Rpc.StartWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr", WorkflowName = "Double" }));

    private async Task<string> StartAsync(string name, string input = "\"\"")
    {
        Assert.NotNull(worker);
        var id = WorkflowHttpTests.NewId();
        var started = await Dapr.StartWorkflowBeta1Async(new Rpc.StartWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr", WorkflowName = name, Input = ByteString.CopyFromUtf8(input) });
        Assert.Equal(id, started.InstanceId);
        return id;
    }

    private async Task<Rpc.GetWorkflowResponse> GetAsync(string id) => await Dapr.GetWorkflowBeta1Async(new Rpc.GetWorkflowRequest { InstanceId = id, WorkflowComponent = "dapr" });

    // daprd answers an unknown instance with an empty one or a refusal, depending on its version.
    private async Task<string> StatusAsync(string id)
    {
        try
        {
            return (await GetAsync(id)).RuntimeStatus;
        }
        catch (RpcException e)
        {
            return $"{e.StatusCode}";
        }
    }

    private Task UntilAsync(string id, string status) => Wait.UntilAsync($"{id} is {status}", async () => (await GetAsync(id)).RuntimeStatus == status);
}
