using Dapr.Workflow;
using RenderTrust.TaskHubProtocol;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class GenerationTests
{
    private static Func<WorkflowContext, Task<string?>> Next(bool keep) => async context =>
    {
        await context.WaitForExternalEventAsync<string>("go");
        context.ContinueAsNew(2, keep);
        return "unseen";
    };

    [Fact]
    public void The_next_generation_takes_the_place_of_the_result()
    {
        var action = Code.Run(Next(true), [Turn(), Started()], [Turn(1), Raised("go")]).Action();

        Assert.Equal((OrchestrationStatus.ContinuedAsNew, "2", 0), (action.CompleteWorkflow.WorkflowStatus, action.CompleteWorkflow.Result, action.Id));
    }

    [Fact]
    public void Events_that_nobody_took_go_along_also_those_that_came_after_the_end()
    {
        HistoryEvent[] fresh = [Turn(1), Raised("early", "1"), Raised("go"), Raised("go", "2"), Raised("late", "3")];

        var carried = Code.Run(Next(true), [Turn(), Started()], fresh).End().CarryoverEvents;

        Assert.Equal(["early", "go", "late"], carried.Select(entry => entry.EventRaised.Name));
    }

    [Fact]
    public void Events_stay_behind_when_they_are_not_wanted()
    {
        Assert.Empty(Code.Run(Next(false), [Turn(), Started()], [Turn(1), Raised("go"), Raised("late")]).End().CarryoverEvents);
    }

    [Fact]
    public void A_wait_left_behind_takes_no_event_of_the_next_generation()
    {
        static async Task<string?> Race(WorkflowContext context)
        {
            var stop = context.WaitForExternalEventAsync<string>("stop");
            await Task.WhenAny(stop, context.WaitForExternalEventAsync<string>("go"));
            context.ContinueAsNew();
            return null;
        }

        var carried = Code.Run(Race, [Turn(), Started()], [Turn(1), Raised("go"), Raised("stop", "\"now\"")]).End().CarryoverEvents;

        Assert.Equal("\"now\"", Assert.Single(carried).EventRaised.Input);
    }

    [Fact]
    public void A_failure_is_not_hidden_by_a_next_generation()
    {
        static async Task<string?> Failing(WorkflowContext context)
        {
            context.ContinueAsNew();
            await Task.CompletedTask;
            throw new InvalidOperationException("broken");
        }

        Assert.Equal("broken", Code.Run(Failing, [], [Turn(), Started()]).Failure().ErrorMessage);
    }

    [Fact]
    public void New_ids_differ_between_generations_also_where_the_sidecar_does_not_number_them()
    {
        static Task<Guid[]> Ids(WorkflowContext context) => Task.FromResult<Guid[]>([context.NewGuid(), context.NewGuid()]);
        static string Of(string executionId, double seconds)
        {
            var start = Started(executionId: executionId);
            start.Timestamp = Turn(seconds).Timestamp;
            return Code.Run(Ids, [], [Turn(), start]).Output()!;
        }

        Assert.Equal(Of("one", 0), Of("one", 5));
        Assert.NotEqual(Of("one", 0), Of("two", 0));
        Assert.NotEqual(Of("", 0), Of("", 1));
        Assert.Equal(Of("", 1), Of("", 1));
    }

    [Fact]
    public void New_ids_are_version_5_and_all_different()
    {
        static Task<Guid[]> Ids(WorkflowContext context) => Task.FromResult(Enumerable.Range(0, 50).Select(_ => context.NewGuid()).ToArray());

        var ids = Code.Serializer.Deserialize<Guid[]>(Code.Run(Ids, [], [Turn(), Started()]).Output())!;

        Assert.Equal(50, ids.Distinct().Count());
        Assert.All(ids, id => Assert.Equal(5, id.Version));
    }
}
