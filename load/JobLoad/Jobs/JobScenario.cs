using System.Collections.Concurrent;
using NBomber.Contracts;
using NBomber.CSharp;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.JobLoad.Measuring;

namespace RenderTrust.JobLoad.Jobs;

/// <summary>One iteration is one job: sent, accepted (step <c>submit</c>), followed to its end (step <c>settle</c>).</summary>
internal sealed class JobScenario(RenderTrustClient client, ConcurrentQueue<PreparedJob> jobs, CpuMeter cpu)
{
    // A job that is not settled by then counts as failed: the run is bounded.
    private static readonly TimeSpan JobLimit = TimeSpan.FromSeconds(45);

    private readonly ConcurrentBag<Guid> _measured = [];

    /// <summary>Tasks of the measured phase.</summary>
    public IReadOnlyCollection<Guid> MeasuredTasks => _measured;

    public ScenarioProps Describe(JobsCommand command)
    {
        var scenario = Scenario.Create("jobs", RunAsync)
            .WithLoadSimulations(Simulation.Inject(rate: command.Rate, interval: TimeSpan.FromSeconds(1), during: TimeSpan.FromSeconds(command.Seconds)))
            .WithThresholds(
                Threshold.Create(stats => stats.Fail.Request.Count == 0),
                Threshold.Create("submit", stats => stats.Ok.Request.Count > 0));
        return command.WarmUpSeconds > 0 ? scenario.WithWarmUpDuration(TimeSpan.FromSeconds(command.WarmUpSeconds)) : scenario.WithoutWarmUp();
    }

    private async Task<IResponse> RunAsync(IScenarioContext context)
    {
        if (!jobs.TryDequeue(out var job))
        {
            return Response.Fail(statusCode: "no-job", message: "More jobs were asked for than were sealed before.");
        }

        var isMeasured = context.ScenarioInfo.ScenarioOperation == ScenarioOperation.Bombing;
        if (isMeasured)
        {
            cpu.Start();
        }

        using var limit = new CancellationTokenSource(JobLimit);
        await using var updates = client.Jobs.SendAndWatchAsync(job, limit.Token).GetAsyncEnumerator(limit.Token);
        await Step.Run("submit", context, async () =>
        {
            if (!await updates.MoveNextAsync())
            {
                return Response.Fail(statusCode: "no-task");
            }

            if (isMeasured && Guid.TryParse(updates.Current.TaskId, out var task))
            {
                _measured.Add(task);
            }

            return Response.Ok(statusCode: "accepted");
        });
        await Step.Run("settle", context, async () =>
        {
            while (!updates.Current.IsFinal && await updates.MoveNextAsync())
            {
                // Every update until the last.
            }

            var state = updates.Current.State;
            return state == TaskState.Completed ? Response.Ok(statusCode: "completed") : Response.Fail(statusCode: state.ToString(), message: updates.Current.Reason ?? "");
        });
        return Response.Ok();
    }
}
