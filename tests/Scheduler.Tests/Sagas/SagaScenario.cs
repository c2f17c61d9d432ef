using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>How the nodes of a scenario fare.</summary>
public enum Fate
{
    /// <summary>Two units, both well.</summary>
    Completes,

    /// <summary>The first node fails the second unit, another one completes it.</summary>
    IsRetried,

    /// <summary>Two nodes fail the second unit, an overflow node completes it.</summary>
    Overflows,

    /// <summary>The only node fails the second unit.</summary>
    IsRefunded,
}

/// <summary>One job of two units on nodes of its own, from its submission to its saga's end. The first unit always completes and is always paid.</summary>
internal sealed class SagaScenario
{
    private const long Credits = 1_000_000_000;
    private readonly SchedulerWorld world;
    private readonly Fate fate;
    private readonly List<TestNode> nodes = [];
    private TestNode? overflowNode;
    private JobSpec spec = null!;

    private SagaScenario(SchedulerWorld world, Fate fate) => (this.world, this.fate) = (world, fate);

    public JobId ClientJobId { get; } = JobId.New();

    public TenantId Creator { get; private set; }

    /// <summary>What the tables and the saga call the job.</summary>
    public JobId JobId => Scheduler.Jobs.TaskIds.KeyOf(Creator, ClientJobId);

    /// <summary>The unit's last node never reports: its lease can only be taken back.</summary>
    public bool LastNodeHangs { get; init; }

    /// <summary>No node reports before the saga has begun to wait.</summary>
    public bool SagaComesFirst { get; set; }

    public JobStatus UndisturbedEnd => fate == Fate.IsRefunded ? JobStatus.Failed : JobStatus.Completed;

    public static async Task<SagaScenario> PrepareAsync(SchedulerWorld world, Fate fate, bool lastNodeHangs = false)
    {
        var scenario = new SagaScenario(world, fate) { Creator = await world.CreatorAsync(Credits), LastNodeHangs = lastNodeHangs };
        await scenario.PrepareAsync();
        return scenario;
    }

    public async Task SubmitAsync() => await world.AcceptedAsync(Creator, spec);

    /// <summary>The saga's step strikes as asked, at each of its calls until <paramref name="strikes"/> are used up.</summary>
    public void Strike(SagaStepName step, bool undo, Moment moment, int strikes, Action? instead = null)
    {
        var before = world.Sagas.Faults.GetValueOrDefault(JobId);
        var left = strikes;
        world.Sagas.Faults[JobId] = (call, at) =>
        {
            before?.Invoke(call, at);
            if (call.Step == step && call.Undo == undo && at == moment && Interlocked.Decrement(ref left) >= 0)
            {
                instead?.Invoke();
                throw new InvalidOperationException("struck");
            }
        };
    }

    public void Heal() => world.Sagas.Faults.TryRemove(JobId, out _);

    public Task ParkedAsync(int seconds = 20) => SchedulerWorld.UntilAsync(
        "the saga to be parked",
        () => world.ScalarAsync<string>("SELECT coalesce((SELECT parked_step FROM scheduler.sagas WHERE job_id = $1), '')", JobId.Value), step => step.Length > 0, seconds);

    public async Task ResumeAsync() => Assert.True(await world.ScalarAsync<bool>("SELECT scheduler.resume_saga($1)", JobId.Value));

    /// <summary>Waits for the saga's end, and sees that it left nothing: no hold, no lease, no waiting unit, no signal; and told all, once.</summary>
    public async Task<JobSummary> CleanSlateAsync(JobStatus expected, int seconds = 20)
    {
        await SchedulerWorld.UntilAsync(
            "the saga to end",
            async () => (
                await CountAsync("SELECT count(*) FROM scheduler.sagas WHERE job_id = $1 AND done_at IS NOT NULL"), !world.Sagas.Knows(JobId) || world.Sagas.HasEnded(JobId)),
            ended => ended is (1, true), seconds);
        await SchedulerWorld.UntilAsync(
            "every lease to be given back",
            () => CountAsync("SELECT count(*) FROM scheduler.attempts WHERE job_id = $1 AND status IN ('offered', 'running', 'revoking', 'lost')"), count => count == 0);
        var job = (await world.JobAsync(ClientJobId, Creator))!;

        Assert.Equal(expected, job.Status);
        Assert.True(job.Money.HoldClosed);
        Assert.Equal(job.Money.HeldMicrocredits, job.Money.ChargedMicrocredits + job.Money.ReleasedMicrocredits);
        Assert.Equal(Credits - job.Money.ChargedMicrocredits, await world.AvailableAsync(Creator));
        Assert.Equal(job.UnitsCompleted, await CountAsync("SELECT count(*) FROM ledger.captures WHERE hold_id = $1 AND posted_at IS NOT NULL"));
        Assert.Equal("completed", job.Units[0].Status);
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM scheduler.pending_units WHERE job_id = $1"));
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM scheduler.units WHERE job_id = $1 AND status IN ('pending', 'leased', 'undecided')"));
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM scheduler.saga_signals WHERE job_id = $1"));
        Assert.Equal(1, await CountAsync("SELECT count(*) FROM scheduler.sagas WHERE job_id = $1 AND done_at IS NOT NULL AND parked_at IS NULL"));
        Assert.Equal(1, await CountAsync("SELECT count(*) FROM scheduler.job_events WHERE job_id = $1 AND body ->> 'status' IN ('completed', 'failed', 'canceled')"));
        var evidence = await SchedulerWorld.UntilAsync("the evidence", () => Task.FromResult(Evidence()), messages => messages.Count >= 2);
        Assert.Equal(["scheduler.jobCustody", "scheduler.jobEnded"], evidence.Order());
        return job;
    }

    private List<string> Evidence() =>
        [.. world.Neighbours.Published
            .Where(message => message.Topic == Topics.Evidence && message.Body.Contains(ClientJobId.ToString(), StringComparison.Ordinal))
            .Select(message => message.Body.Contains("scheduler.jobEnded", StringComparison.Ordinal) ? "scheduler.jobEnded" : "scheduler.jobCustody")];

    private Task<long> CountAsync(string sql) => world.ScalarAsync<long>(sql, JobId.Value);

    private async Task PrepareAsync()
    {
        var fleet = fate switch { Fate.IsRetried => 2, Fate.Overflows => 2, _ => 1 };
        for (var index = 0; index < fleet; index++)
        {
            nodes.Add(await world.NodeAsync($"{fate}-{index}", slots: 2));
        }

        var sealedTo = nodes.ToList();
        if (fate == Fate.Overflows)
        {
            // Comes only when it is needed, so that nothing but the lane can lead to it.
            var id = NodeId.New();
            overflowNode = new TestNode(id, TenantId.New(), "overflow", $"key-{id}", "hub-1", 0, []);
            sealedTo.Add(overflowNode);
            await world.ScalarAsync<long>("WITH added AS (INSERT INTO scheduler.overflow_keys (recipient_key_id) VALUES ($1) RETURNING 1) SELECT count(*) FROM added", overflowNode.KeyId);
        }

        spec = SchedulerWorld.Spec(sealedTo, units: 2, jobId: ClientJobId, seconds: 1) with { AllowOverflow = fate == Fate.Overflows };
        world.Neighbours.OnOfferOf[ClientJobId] = OfferedAsync;
    }

    private Task<LeaseOfferResponse> OfferedAsync(LeaseOffer offer)
    {
        var failures = fate switch { Fate.IsRetried => 1, Fate.Overflows => 2, Fate.IsRefunded => 1, _ => 0 };
        var fails = offer.UnitIndex == 1 && offer.AttemptNumber <= failures;
        if (fails || offer.UnitIndex == 0 || !LastNodeHangs)
        {
            _ = Task.Run(() => ReportAsync(offer, fails));
        }

        return Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
    }

    private async Task ReportAsync(LeaseOffer offer, bool fails)
    {
        if (SagaComesFirst)
        {
            await SchedulerWorld.UntilAsync(
                "the saga to begin", () => Task.FromResult(world.Sagas.Calls(JobId)), calls => calls.Any(call => call.Step == SagaStepName.AwaitOutcome));
        }

        if (fails)
        {
            // The other unit is through before, so that it can be told what stays.
            await SchedulerWorld.UntilAsync(
                "the first unit", () => CountAsync("SELECT count(*) FROM scheduler.units WHERE job_id = $1 AND unit_index = 0 AND status = 'completed'"), count => count == 1);
        }

        await world.ReportAsync(offer, succeeded: !fails, metered: 1, failureClass: fails ? "module_failed" : null);
        if (fails && fate == Fate.Overflows && offer.AttemptNumber == 2)
        {
            await world.NodeAsync("overflow", slots: 1, id: overflowNode!.NodeId, owner: overflowNode.Owner, keyId: overflowNode.KeyId);
        }
    }
}
