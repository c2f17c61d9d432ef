using Dapr.Workflow;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class ChildTests
{
    private static async Task<string> Parent(WorkflowContext context) => await context.CallChildWorkflowAsync<string>("Child", 5);

    [Fact]
    public void A_child_without_an_id_gets_one_that_is_the_same_in_every_replay()
    {
        var (first, again) = (Code.Run(Parent, [], [Turn(), Started()]).Action().CreateChildWorkflow, Code.Run(Parent, [], [Turn(), Started()]).Action().CreateChildWorkflow);

        Assert.Equal(("Child", "5"), (first.Name, first.Input));
        Assert.True(Guid.TryParse(first.InstanceId, out _));
        Assert.Equal(first.InstanceId, again.InstanceId);
    }

    [Fact]
    public void A_child_can_have_an_id_of_the_callers_choice_and_another_app()
    {
        var action = Code.Run(context => context.CallChildWorkflowAsync("Child", options: new ChildWorkflowTaskOptions("kid", TargetAppId: "catalog")), [], [Turn(), Started()]).Action();

        Assert.Equal(("kid", "catalog"), (action.CreateChildWorkflow.InstanceId, action.Router.TargetAppID));
    }

    [Fact]
    public void A_childs_result_goes_to_its_parent()
    {
        Assert.Equal("\"r\"", Code.Run(Parent, [Turn(), Started(), ChildMade(0, "Child")], [Turn(1), ChildDone(0, "\"r\"")]).Output());
    }

    [Fact]
    public void A_childs_failure_that_nobody_catches_fails_the_parent_and_stays_named()
    {
        var failure = Code.Run(Parent, [Turn(), Started(), ChildMade(0, "Child")], [Turn(1), ChildFailed(0, "out of memory")]).Failure();

        Assert.Equal(typeof(WorkflowTaskFailedException).FullName, failure.ErrorType);
        Assert.Equal("Child workflow 'Child' failed: out of memory", failure.ErrorMessage);
        Assert.Equal(("Child", "out of memory"), (failure.InnerFailure.ErrorType, failure.InnerFailure.ErrorMessage));
    }
}
