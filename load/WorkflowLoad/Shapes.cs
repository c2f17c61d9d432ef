using Dapr.Workflow;

namespace RenderTrust.WorkflowLoad;

/// <summary>What a workflow that goes on as new takes with it.</summary>
public sealed record Carried(int Step, string SoFar);

/// <summary>
/// Workflows of five activities each, the kinds of waiting that an engine must get right among them. The output of every one is
/// "1 2 3 4 5", each number made by an activity, so a lost, repeated or swapped answer shows.
/// </summary>
public static class Shapes
{
    public const int Activities = 5;
    public const string Output = "1 2 3 4 5";

    /// <summary>The event that <see cref="Signal"/> and <see cref="Anew"/> wait for; it may come at any time after the start.</summary>
    public const string Go = "go";

    /// <summary>One activity after the other.</summary>
    public const string Row = "Row";

    /// <summary>All activities at once.</summary>
    public const string Fan = "Fan";

    /// <summary>Timers between the activities.</summary>
    public const string Nap = "Nap";

    /// <summary>A child does the third and fourth activity.</summary>
    public const string Family = "Family";

    /// <summary>Waits for <see cref="Go"/> half-way.</summary>
    public const string Signal = "Signal";

    /// <summary>A generation for each activity; the last one waits for <see cref="Go"/>, whichever generation it came to.</summary>
    public const string Anew = "Anew";

    private const string Branch = "Branch";
    private static readonly TimeSpan NapTime = TimeSpan.FromMilliseconds(100);

    public static IReadOnlyList<string> All { get; } = [Row, Fan, Nap, Family, Signal, Anew];

    public static bool WaitsForGo(string shape) => shape is Signal or Anew;

    /// <summary>The id of the child that <see cref="Family"/> starts.</summary>
    public static string ChildOf(string instanceId) => $"{instanceId}-branch";

    /// <summary>The instances that a start brings about, with the activities of each.</summary>
    public static IEnumerable<(string InstanceId, int[] Steps)> Expected(string shape, string instanceId) =>
        shape == Family ? [(instanceId, [1, 2, 5]), (ChildOf(instanceId), [3, 4])] : [(instanceId, [1, 2, 3, 4, 5])];

    public static void Register(WorkflowRuntimeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.RegisterActivity<StepActivity>();
        options.RegisterWorkflow<string?, string>(Row, async (context, _) => string.Join(' ', await InARowAsync(context, 1, 2, 3, 4, 5)));
        options.RegisterWorkflow<string?, string>(Fan, async (context, _) =>
            string.Join(' ', await Task.WhenAll(Enumerable.Range(1, Activities).Select(step => StepAsync(context, step)))));
        options.RegisterWorkflow<string?, string>(Nap, async (context, _) =>
        {
            var first = await InARowAsync(context, 1, 2);
            await context.CreateTimer(NapTime);
            var nap = context.CreateTimer(NapTime);
            var rest = await InARowAsync(context, 3, 4, 5);
            await nap;
            return string.Join(' ', first.Concat(rest));
        });
        options.RegisterWorkflow<string?, string>(Family, async (context, _) =>
        {
            var first = await InARowAsync(context, 1, 2);
            var child = await context.CallChildWorkflowAsync<string>(Branch, null, new ChildWorkflowTaskOptions(ChildOf(context.InstanceId)));
            return string.Join(' ', [.. first, child, await StepAsync(context, 5)]);
        });
        options.RegisterWorkflow<string?, string>(Branch, async (context, _) => string.Join(' ', await InARowAsync(context, 3, 4)));
        options.RegisterWorkflow<string?, string>(Signal, async (context, _) =>
        {
            var first = await InARowAsync(context, 1, 2);
            await context.WaitForExternalEventAsync<string?>(Go);
            return string.Join(' ', first.Concat(await InARowAsync(context, 3, 4, 5)));
        });
        options.RegisterWorkflow<Carried?, string>(Anew, async (context, carried) =>
        {
            var (step, soFar) = carried ?? new Carried(1, "");
            soFar = $"{soFar} {await StepAsync(context, step)}";
            if (step < Activities)
            {
                context.ContinueAsNew(new Carried(step + 1, soFar));
                return "";
            }

            await context.WaitForExternalEventAsync<string?>(Go);
            return soFar.Trim();
        });
    }

    private static async Task<List<string>> InARowAsync(WorkflowContext context, params int[] steps)
    {
        var results = new List<string>();
        foreach (var step in steps)
        {
            results.Add(await StepAsync(context, step));
        }

        return results;
    }

    private static Task<string> StepAsync(WorkflowContext context, int step) => context.CallActivityAsync<string>(nameof(StepActivity), step);
}
