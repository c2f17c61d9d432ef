using RenderTrust.Client;
using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>Creators who keep a number of jobs in flight until there were enough and nobody kills any more.</summary>
internal sealed class Load(IReadOnlyList<RenderTrustClient> creators, ModuleVersion module, CampaignPlan plan, Tally tally, Func<CancellationToken, Task> everyTenthJob)
{
    private readonly List<JobCourse> courses = [];
    private readonly Random random = new(plan.Seed);
    private readonly Lock gate = new();

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
            if (next.Index % 10 == 0)
            {
                await everyTenthJob(cancellationToken);
            }

            lived.Add(await new JobFlow(creators[next.Index % creators.Count], module, next.Course, tally.UnitTold).RunAsync(cancellationToken));
            tally.JobAccepted();
        }

        return lived;
    }

    private (int Index, JobCourse Course)? Next(Task killing)
    {
        lock (gate)
        {
            if ((courses.Count >= plan.Jobs && killing.IsCompleted) || courses.Count >= plan.MostJobs)
            {
                return null;
            }

            courses.Add(JobCourse.Draw(random));
            return (courses.Count - 1, courses[^1]);
        }
    }
}
