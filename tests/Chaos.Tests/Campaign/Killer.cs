using System.Diagnostics;
using RenderTrust.Chaos.Tests.Platform;
using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>
/// Kills parts of a platform under load: at random, and where failpoints are. Each random kill waits until a unit has been completed since the one
/// before, so that the platform is hit at work and not while it lies on the ground.
/// </summary>
internal sealed class Killer(ChaosPlatform platform, Restorer restorer, Provocation provocation, CampaignPlan plan, Tally tally)
{
    private static readonly TimeSpan LongestWaitForProgress = TimeSpan.FromMinutes(2);

    // A failpoint on a rare path gives way to others and comes again.
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan FrozenTurn = ChaosPlatform.NodeLostAfter + TimeSpan.FromSeconds(60);

    // Longer than the platform waits for a silent node, so that its leases are taken and its late results come under a stale token.
    private static readonly TimeSpan Freeze = ChaosPlatform.NodeLostAfter + TimeSpan.FromSeconds(4);

    private static readonly (string Part, int Weight)[] Targets =
        [("scheduler", 24), ("gateway", 20), ("ledger", 12), ("sidecar", 12), ("postgres", 10), ("redis", 6), ("node", 16)];

    private readonly Random random = new(plan.Seed);
    private readonly List<Task> freezes = [];

    /// <summary>Ends when all planned kills have happened, or when it is told to stop: nothing is left armed or frozen then.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            var atFailpoints = KillAtFailpointsAsync(cancellationToken);
            await Task.WhenAll(KillAtRandomAsync(atFailpoints, cancellationToken), atFailpoints);
            await Task.WhenAll(freezes);
        }
        finally
        {
            Failpoints.All.ToList().ForEach(platform.Failpoints.Disarm);
            await Task.WhenAll(freezes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Until there were enough and no failpoint is left: some lie on paths that only another part's death opens.</summary>
    private async Task KillAtRandomAsync(Task atFailpoints, CancellationToken cancellationToken)
    {
        var choices = new Random(random.Next());
        while (tally.RandomKills < plan.RandomKills || !atFailpoints.IsCompleted)
        {
            await WaitForProgressAsync(cancellationToken);
            await Task.Delay(choices.Next(tally.RandomKills < plan.RandomKills ? 1500 : 6000), cancellationToken);
            var name = Choose(choices);
            if (platform.Find(name) is not { } part)
            {
                // It is dead already, or on its way back.
                continue;
            }

            if (choices.Next(100) < 6 && name.StartsWith("node", StringComparison.Ordinal))
            {
                BeginFreeze(part, cancellationToken);
                continue;
            }

            await part.KillAsync(cancellationToken);
            tally.Killed(name.StartsWith("node", StringComparison.Ordinal) ? "agent" : name);
        }
    }

    private async Task KillAtFailpointsAsync(CancellationToken cancellationToken)
    {
        var order = plan.Failpoints.ToArray();
        new Random(random.Next()).Shuffle(order);
        var waiting = new Queue<string>(order.Where(name => Missing(name) > 0));
        var armed = new List<Armed>();
        while (waiting.Count + armed.Count > 0)
        {
            foreach (var turn in armed.Where(IsOver).ToList())
            {
                platform.Failpoints.Disarm(turn.Name);
                armed.Remove(turn);
                if (Missing(turn.Name) > 0)
                {
                    waiting.Enqueue(turn.Name);
                }
            }

            // An 'up' that is repeated meets what is armed and no more: on a slow machine none would ever get to its end.
            while (armed.Count < plan.MostArmed && !restorer.IsStruggling && waiting.TryDequeue(out var next))
            {
                provocation.Prepare(next);
                platform.Failpoints.Arm(next);
                armed.Add(new Armed(next));
            }

            foreach (var turn in armed.Where(turn => !turn.Provoked))
            {
                turn.Provoked = await ProvokeAsync(turn.Name, cancellationToken);
            }

            await Task.Delay(100, cancellationToken);
        }
    }

    private int Missing(string failpoint) => plan.HitsPerFailpoint - platform.Failpoints.Hits().GetValueOrDefault(failpoint);

    private bool IsOver(Armed turn) => !platform.Failpoints.IsArmed(turn.Name) || turn.Since.Elapsed > (Provocation.TakesFrozenNode(turn.Name) ? FrozenTurn : Turn);

    /// <returns>True when nothing more is to be done for it.</returns>
    private async Task<bool> ProvokeAsync(string failpoint, CancellationToken cancellationToken)
    {
        if (await provocation.VictimAsync(failpoint, cancellationToken) is not { } victim)
        {
            return false;
        }

        if (Provocation.TakesFrozenNode(failpoint))
        {
            BeginFreeze(victim, cancellationToken);
            return true;
        }

        await victim.KillAsync(cancellationToken);
        tally.Provoked();
        return true;
    }

    private void BeginFreeze(Part node, CancellationToken cancellationToken)
    {
        lock (freezes)
        {
            freezes.Add(FreezeAsync(node, cancellationToken));
        }
    }

    private async Task FreezeAsync(Part node, CancellationToken cancellationToken)
    {
        node.Signal("STOP");
        try
        {
            await Task.Delay(Freeze, cancellationToken);
        }
        finally
        {
            node.Signal("CONT");
            tally.Froze();
        }
    }

    private async Task WaitForProgressAsync(CancellationToken cancellationToken)
    {
        var before = tally.UnitsTold;
        var watch = Stopwatch.StartNew();
        while (tally.UnitsTold == before && watch.Elapsed < LongestWaitForProgress)
        {
            await Task.Delay(50, cancellationToken);
        }
    }

    private string Choose(Random choices)
    {
        var point = choices.Next(Targets.Sum(target => target.Weight));
        foreach (var (part, weight) in Targets)
        {
            if ((point -= weight) < 0)
            {
                return part == "node" ? $"node-{choices.Next(1, plan.Nodes + 1)}" : part;
            }
        }

        throw new UnreachableException();
    }

    private sealed record Armed(string Name)
    {
        public Stopwatch Since { get; } = Stopwatch.StartNew();

        public bool Provoked { get; set; }
    }
}
