using CsCheck;
using Dapr.Workflow;

namespace RenderTrust.Workflow.Tests.Replay;

/// <summary>A small workflow, as data: what the generator makes and the interpreter runs.</summary>
internal abstract record Step
{
    public sealed record Activity(string Name, bool Retry) : Step;

    public sealed record Timer(int Seconds) : Step;

    public sealed record Event(string Name, int? TimeoutSeconds) : Step;

    public sealed record Send(string Name) : Step;

    public sealed record Child(string Name) : Step;

    public sealed record Patch(string Name, Step Then) : Step;

    public sealed record All(IReadOnlyList<IReadOnlyList<Step>> Branches) : Step;

    public sealed record Any(IReadOnlyList<IReadOnlyList<Step>> Branches) : Step;
}

internal static class Programs
{
    private static readonly Gen<string> Name = Gen.Int[0, 2].Select(index => "abc"[index].ToString());

    private static readonly Gen<Step> Leaf = Gen.OneOf<Step>(
        Gen.Select(Name, Gen.Bool, Step (name, retry) => new Step.Activity(name, retry)),
        Gen.Int[1, 20].Select(Step (seconds) => new Step.Timer(seconds)),
        Gen.Select(Name, Gen.Int[-2, 10].Select(seconds => seconds == -2 ? (int?)null : seconds), Step (name, timeout) => new Step.Event(name, timeout)),
        Name.Select(Step (name) => new Step.Send(name)),
        Name.Select(Step (name) => new Step.Child(name)),
        Gen.Select(Name, Name, Step (patch, name) => new Step.Patch(patch, new Step.Activity(name, false))));

    private static readonly Gen<IReadOnlyList<IReadOnlyList<Step>>> Branches =
        Leaf.List[1, 3].Select(IReadOnlyList<Step> (list) => list).List[2, 3].Select(IReadOnlyList<IReadOnlyList<Step>> (list) => list);

    public static readonly Gen<List<Step>> Any = Gen.OneOf(
        Leaf,
        Branches.Select(Step (branches) => new Step.All(branches)),
        Branches.Select(Step (branches) => new Step.Any(branches))).List[1, 6];

    /// <summary>Runs a program; what it returns tells all that it saw, in order.</summary>
    public static async Task<string> InterpretAsync(WorkflowContext context, IReadOnlyList<Step> program)
    {
        var seen = new List<string> { context.NewGuid().ToString() };
        foreach (var step in program)
        {
            seen.Add(await RunAsync(context, step));
            seen.Add(context.CurrentUtcDateTime.ToString("O"));
        }

        return string.Join(' ', seen);
    }

    private static async Task<string> RunAsync(WorkflowContext context, Step step)
    {
        switch (step)
        {
            case Step.Activity activity:
                return await CaughtAsync(context.CallActivityAsync<string>(
                    activity.Name, context.NewGuid(), activity.Retry ? new WorkflowTaskOptions(new WorkflowRetryPolicy(3, TimeSpan.FromSeconds(1), 2)) : null));
            case Step.Timer timer:
                await context.CreateTimer(TimeSpan.FromSeconds(timer.Seconds));
                return "timer";
            case Step.Event { TimeoutSeconds: null } wait:
                return await context.WaitForExternalEventAsync<string>(wait.Name);
            case Step.Event wait:
                return await CaughtAsync(context.WaitForExternalEventAsync<string>(wait.Name, TimeSpan.FromSeconds(wait.TimeoutSeconds!.Value)));
            case Step.Send send:
                context.SendEvent("other", send.Name, 1);
                return "sent";
            case Step.Child child:
                return await CaughtAsync(context.CallChildWorkflowAsync<string>(child.Name));
            case Step.Patch patch:
                return context.IsPatched(patch.Name) ? await RunAsync(context, patch.Then) : "unpatched";
            case Step.All all:
                return string.Join(',', await Task.WhenAll(all.Branches.Select(branch => BranchAsync(context, branch))));
            case Step.Any any:
                return await await Task.WhenAny(any.Branches.Select(branch => BranchAsync(context, branch)));
            default:
                throw new NotSupportedException(step.ToString());
        }
    }

    private static async Task<string> BranchAsync(WorkflowContext context, IReadOnlyList<Step> branch)
    {
        var seen = "";
        foreach (var step in branch)
        {
            seen += await RunAsync(context, step) + ";";
        }

        return seen;
    }

    private static async Task<string> CaughtAsync(Task<string> task)
    {
        try
        {
            return await task;
        }
        catch (WorkflowTaskFailedException failure)
        {
            return "failed " + failure.FailureDetails.ErrorMessage;
        }
        catch (TaskCanceledException)
        {
            return "cancelled";
        }
    }
}
