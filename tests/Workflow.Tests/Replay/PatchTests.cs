using Dapr.Workflow;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class PatchTests
{
    private static async Task<string> Patched(WorkflowContext context)
    {
        await context.CallActivityAsync("A");
        return await context.CallActivityAsync<string>(context.IsPatched("better") ? "New" : "Old");
    }

    [Fact]
    public void An_instance_that_comes_there_for_the_first_time_takes_the_new_path_and_says_so()
    {
        var result = Code.Run(Patched, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Done(0)]);

        Assert.Equal("New", result.Action().ScheduleTask.Name);
        Assert.Equal(["better"], result.Response.Version.Patches);
        Assert.Equal("W", result.Response.Version.Name);
    }

    [Fact]
    public void An_instance_that_passed_before_the_patch_keeps_the_old_path()
    {
        var result = Code.Run(Patched, [Turn(), Started(), Scheduled(0, "A"), Turn(1), Done(0), Scheduled(1, "Old")], [Turn(2), Done(1, "\"x\"")]);

        Assert.Equal("\"x\"", result.Output());
        Assert.Null(result.Response.Version);
    }

    [Fact]
    public void An_instance_that_took_the_new_path_stays_on_it_and_repeats_its_patches()
    {
        var result = Code.Run(Patched, [Turn(), Started(), Scheduled(0, "A"), Turn(1, "better"), Done(0), Scheduled(1, "New")], [Turn(2), Done(1, "\"x\"")]);

        Assert.Equal("\"x\"", result.Output());
        Assert.Equal(["better"], result.Response.Version.Patches);
    }

    [Fact]
    public void A_patch_that_two_places_share_does_not_reach_back_before_it_was_recorded()
    {
        static async Task<string> Loop(WorkflowContext context)
        {
            for (var round = 0; round < 3; round++)
            {
                await context.CallActivityAsync(context.IsPatched("better") ? "New" : "Old");
            }

            return "done";
        }

        HistoryEvent[] past = [Turn(), Started(), Scheduled(0, "Old"), Turn(1, "better"), Done(0), Scheduled(1, "New")];

        Assert.Equal("New", Code.Run(Loop, past, [Turn(2), Done(1)]).Action().ScheduleTask.Name);
    }

    [Fact]
    public void Code_without_a_recorded_patch_shows_that_it_lacks_it()
    {
        var result = Code.Run(context => context.CallActivityAsync("A"), [Turn(0, "gone"), Started(), Scheduled(0, "A")], [Turn(1), Done(0)]);

        Assert.Empty(result.Response.Version.Patches);
    }
}
