using System.Diagnostics;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Client.Jobs;
using Spectre.Console;

namespace RenderTrust.Cli.Demo;

/// <summary>
/// What <c>demo --chaos</c> does to its own platform while the job runs: kills the rendering node, then the scheduler, then the sidecar host
/// and with it every service, each as by <c>kill -9</c> and each only after the job has come further, and starts again what does not do so by itself.
/// </summary>
internal sealed class ChaosScript(CliContext context, LocalPlatform platform, Func<CancellationToken, Task> startNodeAsync, int unitCount)
{
    /// <summary>Enough that units are left for every kill.</summary>
    public const int FewestFrames = 8;

    public const int PlannedKills = 3;

    /// <summary>Few, so that the job does not end between two kills on a machine with many cores.</summary>
    public const int MostSlots = 2;

    /// <summary>Only for what has gone wrong: a unit takes seconds, and a minute on a machine that has other things to do.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly HashSet<int> completed = [];
    private readonly Lock gate = new();
    private TaskCompletionSource news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private JobUpdate? end;

    public int Kills { get; private set; }

    /// <summary>Tells the script how far the job has come.</summary>
    public void Saw(JobUpdate update)
    {
        lock (gate)
        {
            if (update is { Kind: JobUpdateKind.UnitCompleted, UnitIndex: { } unit })
            {
                completed.Add(unit);
            }

            end = update.IsFinal ? update : end;
            news.TrySetResult();
            news = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        context.Console.MarkupLineInterpolated($"  [grey]{PlannedKills} kills to come: the first after the first finished unit, the others once the job was seen to go on[/]");
        await UntilAnotherUnitAsync(0, cancellationToken);
        var node = platform.Processes.Last(process => process.Name == "node-1");
        await KillAsync("the rendering node", node.Pid, cancellationToken);
        await RecoverAsync(
            "Started the node again: what it had sealed it delivers from its disk, what it had not finished is leased anew under a new token",
            () => startNodeAsync(cancellationToken), cancellationToken);

        var scheduler = platform.PidOf("scheduler");
        await KillAsync("the scheduler", scheduler, cancellationToken);
        await RecoverAsync(
            "The sidecar host has started a new scheduler, which reads from the database what the old one knew",
            () => UntilAsync(() => platform.PidOf("scheduler") is var pid && pid != 0 && pid != scheduler && platform.IsReady("scheduler"), "a new scheduler", cancellationToken),
            cancellationToken);

        await KillAsync("the sidecar host, and with it gateway, scheduler, ledger, identity and catalog", platform.Processes.Last(process => process.Name == "sidecar").Pid, cancellationToken);
        await RecoverAsync("All services run again, as after './rendertrust up'", () => platform.StartServicesAsync(cancellationToken), cancellationToken);
    }

    /// <summary>Recovered is what has been seen to work: another unit that was not done when the part was killed.</summary>
    private async Task RecoverAsync(string result, Func<Task> recover, CancellationToken cancellationToken)
    {
        var before = Count();
        var watch = Stopwatch.StartNew();
        await recover();
        context.Console.MarkupLineInterpolated($"[green]✓[/] {result} [grey]({watch.Elapsed.TotalSeconds:0.0} s)[/]");
        await UntilAnotherUnitAsync(before, cancellationToken);
        context.Console.MarkupLineInterpolated($"[green]✓[/] The job goes on: {Count()} of {unitCount} units done [grey]({watch.Elapsed.TotalSeconds:0.0} s after the kill)[/]");
    }

    private async Task UntilAnotherUnitAsync(int before, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (Count() == before)
        {
            Task next;
            lock (gate)
            {
                if (end is not null)
                {
                    throw new CliException(
                        $"The job ended as {end.State} after {Kills} of {PlannedKills} kills, with {before} of {unitCount} units done: {end.Reason}", platform.Paths.Log("node-1"));
                }

                next = news.Task;
            }

            if (watch.Elapsed > Patience)
            {
                throw new CliException($"No unit was completed for {Patience.TotalSeconds:0} s after {Kills} kills ({before} of {unitCount} were done).", platform.Paths.Log("scheduler"));
            }

            await Task.WhenAny(next, Task.Delay(TimeSpan.FromSeconds(1), cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private int Count()
    {
        lock (gate)
        {
            return completed.Count;
        }
    }

    private async Task KillAsync(string what, int pid, CancellationToken cancellationToken)
    {
        var done = Count();
        if (done >= unitCount)
        {
            throw new CliException($"All units were done before {what} could be killed. Give the job more frames: --frames {2 * unitCount}.");
        }

        if (pid == 0)
        {
            throw new CliException($"There was nothing to kill: {what} did not run.", platform.Paths.Log("sidecar"));
        }

        using var process = Process.GetProcessById(pid);
        process.Kill();
        await process.WaitForExitAsync(cancellationToken);
        Kills++;
        context.Console.MarkupLineInterpolated($"[red]✗[/] kill -9 {pid}: {what}, with {done} of {unitCount} units done");
    }

    private static async Task UntilAsync(Func<bool> holds, string what, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (!holds())
        {
            if (watch.Elapsed > Patience)
            {
                throw new CliException($"Waited {Patience.TotalSeconds:0} s for {what}.");
            }

            await Task.Delay(50, cancellationToken);
        }
    }
}
