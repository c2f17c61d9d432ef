using RenderTrust.A2A;
using RenderTrust.Cli.Output;
using RenderTrust.Client.Jobs;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>Shows a job's updates as they come: a bar over its units, a line per event.</summary>
internal static class Follow
{
    public static async Task<JobUpdate?> RunAsync(
        CliContext context, IAsyncEnumerable<JobUpdate> updates, int unitCount, bool json, Func<JobUpdate, Task>? onUpdate = null)
    {
        JobUpdate? last = null;
        async Task ReadAsync(Action<JobUpdate> show)
        {
            await foreach (var update in updates)
            {
                last = update;
                show(update);
                if (onUpdate is not null)
                {
                    await onUpdate(update);
                }
            }
        }

        if (json)
        {
            await ReadAsync(update => Console.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(
                new { kind = update.Kind.ToString(), update.TaskId, state = update.State.ToString(), update.Reason, update.UnitIndex, update.UnitsCompleted, update.UnitCount, update.NodeName, update.Progress },
                Contracts.WireJson.Options)));
            return last;
        }

        await context.Console.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async progress =>
            {
                var bar = progress.AddTask("waiting for a node", maxValue: unitCount);
                var partial = new Dictionary<int, double>();
                var done = new HashSet<int>();
                await ReadAsync(update =>
                {
                    if (update is { UnitIndex: { } unit, Progress: { } fraction } && !done.Contains(unit))
                    {
                        partial[unit] = fraction;
                    }

                    if (update is { Kind: JobUpdateKind.UnitCompleted, UnitIndex: { } finished })
                    {
                        done.Add(finished);
                        partial.Remove(finished);
                    }

                    bar.Value = Math.Min(unitCount, Math.Max(done.Count + partial.Values.Sum(), update.UnitsCompleted ?? 0));
                    bar.Description = update.IsFinal
                        ? Markup.Escape(update.State.ToString())
                        : Markup.Escape($"{done.Count} of {unitCount} units" + (update.NodeName is { } node ? $" on {node}" : ""));
                });
            });
        return last;
    }

    public static int ExitCode(JobUpdate? last) => last?.State == TaskState.Completed ? 0 : 1;
}
