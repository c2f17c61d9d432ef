using System.Net;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;

namespace RenderTrust.Scheduler.Tests;

public sealed class SubmitTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World;

    [Fact]
    public async Task A_retry_is_answered_as_the_first_call_was()
    {
        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([await world.NodeAsync()]);

        var first = await world.SubmitAsync(creator, spec);
        var second = await world.SubmitAsync(creator, spec);

        Assert.Equal(SubmitOutcome.Accepted, first.Outcome);
        Assert.Equal(SubmitOutcome.AlreadyAccepted, second.Outcome);
        Assert.Equal(first.TaskId, second.TaskId);
        Assert.Equal(TaskIds.Of(creator, spec.JobId), first.TaskId);
        Assert.Equal(first.PriceMicrocredits, second.PriceMicrocredits);
    }

    [Fact]
    public async Task A_retry_is_answered_even_when_the_module_and_the_credits_are_gone()
    {
        var creator = await world.CreatorAsync(200_000);
        world.Neighbours.Modules["fleeting@1.0.0"] = world.ModuleOf("fleeting@1.0.0");
        var spec = SchedulerWorld.Spec([await world.NodeAsync()], module: "fleeting@1.0.0");
        await world.AcceptedAsync(creator, spec);
        world.Neighbours.Modules.TryRemove("fleeting@1.0.0", out _);

        Assert.Equal(SubmitOutcome.AlreadyAccepted, (await world.SubmitAsync(creator, spec)).Outcome);
        Assert.Equal(SubmitOutcome.AlreadyAccepted, (await world.SubmitAsync(creator, spec with { CapMicrocredits = 1 })).Outcome);
    }

    [Fact]
    public async Task The_same_job_id_with_other_content_is_refused()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync();
        var spec = SchedulerWorld.Spec([node]);
        await world.AcceptedAsync(creator, spec);

        var other = await world.SubmitAsync(creator, SchedulerWorld.Spec([node], jobId: spec.JobId));

        Assert.Equal(SubmitOutcome.ConflictingContent, other.Outcome);
        Assert.Null(other.TaskId);
        Assert.Contains("new id", other.Explanation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_job_id_in_two_tenants_is_two_jobs()
    {
        var (first, second) = (await world.CreatorAsync(), await world.CreatorAsync());
        var node = await world.NodeAsync();
        var spec = SchedulerWorld.Spec([node]);

        var one = await world.SubmitAsync(first, spec);
        var other = await world.SubmitAsync(second, SchedulerWorld.Spec([node], jobId: spec.JobId, units: 1));

        Assert.Equal((SubmitOutcome.Accepted, SubmitOutcome.Accepted), (one.Outcome, other.Outcome));
        Assert.NotEqual(one.TaskId, other.TaskId);
        Assert.Equal(2, (await world.JobAsync(spec.JobId, first))!.UnitCount);
        Assert.Equal(1, (await world.JobAsync(spec.JobId, second))!.UnitCount);
        Assert.Equal(2, await world.ScalarAsync<long>("SELECT count(*) FROM ledger.holds WHERE job_id = $1", spec.JobId.Value));
    }

    [Fact]
    public async Task Twenty_submissions_at_once_place_one_hold()
    {
        var creator = await world.CreatorAsync(10_000_000);
        var spec = SchedulerWorld.Spec([await world.NodeAsync()]);

        var responses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => world.SubmitAsync(creator, spec)));

        Assert.Single(responses, response => response.Outcome == SubmitOutcome.Accepted);
        Assert.Equal(19, responses.Count(response => response.Outcome == SubmitOutcome.AlreadyAccepted));
        Assert.Single(responses.Select(response => response.TaskId).Distinct());
        Assert.Equal(10_000_000 - 200_000, await world.AvailableAsync(creator));
    }

    [Fact]
    public async Task Many_jobs_at_once_never_hold_more_than_there_is()
    {
        var creator = await world.CreatorAsync(1_000_000);
        var node = await world.NodeAsync();

        var responses = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => world.SubmitAsync(creator, SchedulerWorld.Spec([node]))));

        Assert.Equal(5, responses.Count(response => response.Outcome == SubmitOutcome.Accepted));
        Assert.Equal(7, responses.Count(response => response.Outcome == SubmitOutcome.InsufficientCredits));
        Assert.Equal(0, await world.AvailableAsync(creator));
    }

    [Fact]
    public async Task Every_refusal_names_cause_and_remedy_and_leaves_nothing_behind()
    {
        var creator = await world.CreatorAsync(100_000);
        var node = await world.NodeAsync();
        world.Neighbours.Modules["cheap@1.0.0"] = world.ModuleOf("cheap@1.0.0", rate: 39_999);
        var good = SchedulerWorld.Spec([node]);
        var cases = new (JobSpec Spec, SubmitOutcome Outcome, string Says)[]
        {
            (good with { Module = "nothing@1.0.0" }, SubmitOutcome.UnknownModule, "nothing@1.0.0"),
            (good with { Module = "cheap@1.0.0" }, SubmitOutcome.ManifestRateBelowNodeRate, "39999"),
            (good with { Grants = [good.Grants[0]] }, SubmitOutcome.NoEligibleRecipient, "Wrap every set key"),
            (good with { Assets = [good.Assets[0] with { SizeBytes = 1L << 40 }] }, SubmitOutcome.NoEligibleRecipient, "scratch space"),
            (good with { CapMicrocredits = 199_999 }, SubmitOutcome.CapBelowPrice, "Raise the cap"),
            (good with { UnitCount = 100_000, MaxUnitDeviceSeconds = 86_400, CapMicrocredits = 5 }, SubmitOutcome.CapBelowPrice, "cap"),
            (good, SubmitOutcome.InsufficientCredits, "Top up at least 100000"),
        };

        foreach (var (spec, outcome, says) in cases)
        {
            var response = await world.SubmitAsync(creator, spec);
            Assert.Equal(outcome, response.Outcome);
            Assert.Contains(says, response.Explanation, StringComparison.Ordinal);
            Assert.Null(response.TaskId);
        }

        await NothingIsLeftAsync(creator, good.JobId);
        Assert.Equal(100_000, await world.AvailableAsync(creator));
    }

    [Fact]
    public async Task The_cap_may_equal_the_price()
    {
        var response = await world.SubmitAsync(await world.CreatorAsync(), SchedulerWorld.Spec([await world.NodeAsync()], cap: 200_000));

        Assert.Equal(SubmitOutcome.Accepted, response.Outcome);
        Assert.Equal(200_000, response.PriceMicrocredits);
    }

    [Fact]
    public async Task An_unknown_recipient_waits_for_its_node_and_says_so()
    {
        var creator = await world.CreatorAsync();
        var absent = new TestNode(NodeId.New(), TenantId.New(), "absent", $"key-{Guid.CreateVersion7()}", "hub-1", 0, []);
        var spec = SchedulerWorld.Spec([absent]);

        await world.AcceptedAsync(creator, spec);
        var job = await SchedulerWorld.UntilAsync("a reason to wait", async () => (await world.JobAsync(spec.JobId, creator))!, seen => seen.Reason is not null);

        Assert.Equal(JobStatus.Submitted, job.Status);
        await world.NodeAsync(id: absent.NodeId, keyId: absent.KeyId);
        Assert.Equal(absent.NodeId, (await world.OffersAsync(spec.JobId, 1))[0].NodeId);
    }

    [Theory]
    [InlineData("scheduler.jobs")]
    [InlineData("scheduler.units")]
    [InlineData("scheduler.pending_units")]
    [InlineData("scheduler.job_grants")]
    [InlineData("scheduler.job_events")]
    [InlineData("ledger.holds")]
    public async Task Failing_at_any_step_or_at_the_commit_leaves_nothing_behind(string table)
    {
        var creator = await world.CreatorAsync(1_000_000);
        var spec = SchedulerWorld.Spec([await world.NodeAsync()]);
        foreach (var atCommit in new[] { false, true })
        {
            await using (await Sabotage.OnInsertAsync(world.Admin, table, atCommit))
            {
                using var response = await world.SendAsync(HttpMethod.Post, "/internal/jobs", new SubmitJobRequest(creator, "context", spec, DateTimeOffset.UtcNow));
                Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
            }

            await NothingIsLeftAsync(creator, spec.JobId);
            Assert.Equal(1_000_000, await world.AvailableAsync(creator));
        }

        await world.AcceptedAsync(creator, spec);
    }

    [Fact]
    public async Task A_backend_killed_in_the_middle_leaves_nothing_behind()
    {
        var creator = await world.CreatorAsync(1_000_000);
        var spec = SchedulerWorld.Spec([await world.NodeAsync()]);
        await using (await Sabotage.OnInsertAsync(world.Admin, "scheduler.job_events", atCommit: true, "PERFORM pg_terminate_backend(pg_backend_pid())"))
        {
            using var response = await world.SendAsync(HttpMethod.Post, "/internal/jobs", new SubmitJobRequest(creator, "context", spec, DateTimeOffset.UtcNow));
            Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        }

        await NothingIsLeftAsync(creator, spec.JobId);
        Assert.Equal(1_000_000, await world.AvailableAsync(creator));
        await world.AcceptedAsync(creator, spec);
    }

    [Fact]
    public async Task Malformed_requests_are_the_callers_mistake()
    {
        var creator = await world.CreatorAsync();
        var spec = SchedulerWorld.Spec([await world.NodeAsync()]);
        var good = System.Text.Json.JsonSerializer.Serialize(new SubmitJobRequest(creator, "context", spec, DateTimeOffset.UtcNow), WireJson.Options);
        string[] bad =
        [
            "", "{", "[]", "{}", good.Replace(spec.JobId.ToString(), "no-uuid", StringComparison.Ordinal),
            good.Replace("\"unitCount\":2", "\"unitCount\":\"two\"", StringComparison.Ordinal),
            good.Replace("\"unitCount\":2", "\"unitCount\":0", StringComparison.Ordinal),
            good.Replace("\"unitCount\":2", "\"unitCount\":1000000", StringComparison.Ordinal),
            good.Replace("\"maxUnitDeviceSeconds\":60", "\"maxUnitDeviceSeconds\":-1", StringComparison.Ordinal),
            good.Replace("\"deadlineSeconds\":3600", "\"deadlineSeconds\":1", StringComparison.Ordinal),
            good.Replace("\"module\":\"povray@1.0.0\"", "\"module\":\"../povray\"", StringComparison.Ordinal),
            good.Replace(spec.Manifest.BlobSha256, "XYZ", StringComparison.Ordinal),
        ];

        foreach (var body in bad)
        {
            using var response = await world.SendAsync(HttpMethod.Post, "/internal/jobs", body);
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{(int)response.StatusCode} for {body[..Math.Min(80, body.Length)]}: {await response.Content.ReadAsStringAsync()}");
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        }
    }

    [Fact]
    public void Task_ids_are_stable()
    {
        var id = TaskIds.Of(new(Guid.Parse("00000000-0000-7000-8000-000000000001")), new(Guid.Parse("00000000-0000-7000-8000-000000000002")));

        Assert.Equal(8, id.Value.Version);
        Assert.Equal(TaskIdVector, id.ToString());
    }

    // From Python: hashlib.sha256(b"rendertrust/task/v1" + uuid.bytes + uuid.bytes), version and variant set.
    private const string TaskIdVector = "6765921f-85c9-809d-8696-575182213a3a";

    private async Task NothingIsLeftAsync(TenantId tenant, JobId jobId)
    {
        foreach (var table in new[] { "jobs", "units", "pending_units", "job_grants", "job_events" })
        {
            Assert.Equal(0, await world.ScalarAsync<long>($"SELECT count(*) FROM scheduler.{table} WHERE job_id = $1", TaskIds.KeyOf(tenant, jobId).Value));
        }

        Assert.Equal(0, await world.ScalarAsync<long>("SELECT count(*) FROM ledger.holds WHERE job_id = $1", jobId.Value));
    }
}
