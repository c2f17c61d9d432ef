using RenderTrust.Client;
using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>Creators who keep a number of jobs in flight until there were enough and nobody kills any more, or until the killing had to end early.</summary>
internal sealed class Load(IReadOnlyList<RenderTrustClient> creators, ModuleVersion module, CampaignPlan plan, Tally tally, Func<CancellationToken, Task> leaveHoldBehind)
{
    private readonly List<JobCourse> courses = [];
    private readonly Queue<JobCourse> wishes = new();
    private readonly Random random = new(plan.Seed);
    private readonly Lock gate = new();
    private bool leftHoldWished;

    /// <summary>One of the next jobs shall be meant to end so.</summary>
    public void Wish(MeantEnd end)
    {
        lock (gate)
        {
            wishes.Enqueue(JobCourse.Meant(end));
        }
    }

    /// <summary>Before the next job, somebody shall leave a hold behind.</summary>
    public void WishLeftHold()
    {
        lock (gate)
        {
            leftHoldWished = true;
        }
    }

    public async Task<IReadOnlyList<LivedJob>> RunAsync(Task killing, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var workers = Enumerable.Range(0, plan.JobsInFlight).Select(_ => WorkAsync(killing, stop.Token)).ToList();
        await foreach (var worker in Task.WhenEach(workers))
        {
            if (!worker.IsCompletedSuccessfully)
            {
                // The first job that goes wrong ends the campaign; the others need not be waited for.
                await stop.CancelAsync();
                await worker;
            }
        }

        return [.. workers.SelectMany(worker => worker.Result)];
    }

    private async Task<List<LivedJob>> WorkAsync(Task killing, CancellationToken cancellationToken)
    {
        var lived = new List<LivedJob>();
        while (Next(killing) is { } next)
        {
            if (next.LeavesHoldBehind)
            {
                await leaveHoldBehind(cancellationToken);
            }

            lived.Add(await new JobFlow(creators[next.Index % creators.Count], module, next.Course, tally.UnitTold, killing, plan.KillFor).RunAsync(cancellationToken));
            tally.JobAccepted();
        }

        return lived;
    }

    private (int Index, JobCourse Course, bool LeavesHoldBehind)? Next(Task killing)
    {
        lock (gate)
        {
            if ((killing.IsCompleted && (courses.Count >= plan.Jobs || killing.IsCanceled)) || courses.Count >= plan.MostJobs)
            {
                return null;
            }

            courses.Add(wishes.TryDequeue(out var wished) ? wished : JobCourse.Draw(random));
            var leavesHoldBehind = leftHoldWished || courses.Count % 10 == 1;
            leftHoldWished = false;
            return (courses.Count - 1, courses[^1], leavesHoldBehind);
        }
    }
}
