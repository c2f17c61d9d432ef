using System.Diagnostics;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform.Brokers;

/// <summary>
/// Moves a running platform to another broker while jobs run. Order of steps: 1. start the new broker beside the old one; 2. hold the outboxes back, so that facts
/// gather in the database; 3. wait until the old broker has handed over all that it acknowledged; 4. stop the services and count once more; 5. start them over the
/// new broker; 6. let the outboxes go; 7. end the old broker. Killed at any moment it leaves a platform that <c>up</c> completes: the outboxes are held by locks of
/// its own connection, and the state names the broker that the services use. Refused at any moment before step 5 it leaves the services on the old one.
/// </summary>
internal sealed class SwapBroker(LocalPlatform platform, TimeSpan patience, Action<string> progress)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    public async Task<BrokerSwap> RunAsync(string broker, CancellationToken cancellationToken)
    {
        // A change that was killed may have left one, on ports that we do not know of.
        await platform.EndOtherBrokersAsync(cancellationToken);
        try
        {
            return await MoveAsync(broker, cancellationToken);
        }
        finally
        {
            // The old one, or the new one if the services stayed. Not the caller's token: it may be what brought us here.
            progress("Ending the broker that nothing uses");
            await platform.EndOtherBrokersAsync(CancellationToken.None);
        }
    }

    private async Task<BrokerSwap> MoveAsync(string broker, CancellationToken cancellationToken)
    {
        var old = platform.Broker;
        progress($"Starting {broker} beside {old.Name}");
        var next = await platform.StartBesideAsync(broker, cancellationToken);

        progress("Holding facts back in the database");
        await using var facts = await HeldFacts.TakeAsync(platform, patience, cancellationToken);
        var heldBack = Stopwatch.StartNew();
        var jobs = await facts.OpenJobsAsync(cancellationToken);

        progress($"Waiting until {old.Name} has handed over what it has");
        var before = await DrainAsync(old, cancellationToken);
        var drained = heldBack.ElapsedMilliseconds;

        // Not the caller's token from here on: without services nobody is served, and each wait has its bound.
        progress($"Restarting the services over {next.Name}");
        var after = await LeaveAsync(old, facts, CancellationToken.None);
        await platform.StartServicesOverAsync(next, CancellationToken.None);

        var waiting = await facts.WaitingAsync(CancellationToken.None);
        await facts.ReleaseAsync(CancellationToken.None);
        heldBack.Stop();

        progress($"Letting facts go over {next.Name}");
        var left = await CountLeftAsync(facts, waiting, cancellationToken);
        var (ended, known) = await facts.CountAsync(jobs, CancellationToken.None);
        return new BrokerSwap(
            old.Name, next.Name, before, drained, after, heldBack.ElapsedMilliseconds, waiting.Count, left, jobs.Count, ended, jobs.Count - known);
    }

    /// <returns>What was undelivered at first.</returns>
    private async Task<long> DrainAsync(ILocalBroker broker, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        var (first, left) = (-1L, 0L);
        while ((left = await broker.UndeliveredAsync(cancellationToken)) > 0)
        {
            first = first < 0 ? left : first;
            if (watch.Elapsed > patience)
            {
                throw new CliException(
                    $"{broker.Name} still had {left} undelivered messages after {patience.TotalSeconds:0} s, so the services stay on it and nothing is lost. Give it longer with --drain-seconds, or see with ./rendertrust status which service does not take them.");
            }

            await Task.Delay(Pause, cancellationToken);
        }

        return Math.Max(first, left);
    }

    /// <summary>Stops the services. Only now nobody can publish or take anything, so only now the count is the last word; if it is not 0 they start over the same broker again.</summary>
    private async Task<long> LeaveAsync(ILocalBroker old, HeldFacts facts, CancellationToken cancellationToken)
    {
        await platform.StopServicesAsync(cancellationToken);
        try
        {
            // If the locks had gone, something may have been published after the old broker was found empty.
            await facts.AssertHeldAsync(cancellationToken);
            var left = await old.UndeliveredAsync(cancellationToken);
            return left == 0
                ? left
                : throw new CliException($"{old.Name} had {left} undelivered messages when the services had stopped, so they stay on it and nothing is lost. Run the same command again.");
        }
        catch (CliException)
        {
            await platform.StartServicesOverAsync(old, cancellationToken);
            throw;
        }
    }

    /// <summary>Facts that were held back leave within moments. One that the new broker does not take is no reason to go back: it waits in the database, and the count tells.</summary>
    private async Task<long> CountLeftAsync(HeldFacts facts, IReadOnlyList<Guid> waiting, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            var left = (await facts.WaitingAsync(CancellationToken.None)).Intersect(waiting).Count();
            if (left == 0 || watch.Elapsed > patience || cancellationToken.IsCancellationRequested)
            {
                return left;
            }

            await Task.Delay(Pause, CancellationToken.None);
        }
    }
}
