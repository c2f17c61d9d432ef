using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.A2A;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.A2A;

public sealed class TaskViewTests
{
    private static readonly (TaskId Task, JobId Job, TenantId Tenant) Ids = (TaskId.New(), JobId.New(), TenantId.New());

    private static JobEvent Event(long seq, JobEventKind kind, JobEventBody body) => new(Ids.Task, Ids.Job, Ids.Tenant, "c", seq, kind, DateTimeOffset.UnixEpoch.AddSeconds(seq), body);

    private static TaskView View(params JobEvent[] events) => TaskView.Of(new TaskLog(Ids.Task, Ids.Job, "c", JobStatus.Submitted, events));

    [Fact]
    public void Nothing_changes_after_the_end()
    {
        var view = View(Event(1, JobEventKind.Submitted, new JobEventBody(Status: JobStatus.Submitted)), Event(2, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Canceled)));

        var told = view.Apply(Event(3, JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: 0, Outputs: [TestData.Output()])));

        Assert.Empty(told);
        Assert.Equal((TaskState.Canceled, 3, null), (view.State, view.Seq, view.Snapshot(null).Artifacts is { Count: 0 } ? null : "artifacts"));
    }

    [Fact]
    public void A_log_in_any_order_gives_the_same_task()
    {
        JobEvent[] events =
        [
            Event(1, JobEventKind.Submitted, new JobEventBody(Status: JobStatus.Submitted, UnitCount: 1)),
            Event(2, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Running)),
            Event(3, JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: 0, UnitsCompleted: 1, Outputs: [TestData.Output()])),
            Event(4, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Completed)),
        ];

        Assert.Equal(
            JsonSerializer.Serialize(View(events).Snapshot(null), A2AJson.Options),
            JsonSerializer.Serialize(View([.. events.Reverse()]).Snapshot(null), A2AJson.Options));
    }

    [Fact]
    public void Charges_of_units_add_up_to_the_charge_of_the_job()
    {
        var view = View(
            Event(1, JobEventKind.Submitted, new JobEventBody(Status: JobStatus.Submitted)),
            Event(2, JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: 0, Outputs: [], ChargedMicrocredits: 5)),
            Event(3, JobEventKind.UnitCompleted, new JobEventBody(UnitIndex: 1, Outputs: [], ChargedMicrocredits: 7)));
        Assert.Equal(12, Charged(view));

        view.Apply(Event(4, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Completed, ChargedMicrocredits: 12)));
        Assert.Equal(12, Charged(view));

        static long Charged(TaskView view) => (long)view.Snapshot(null).Metadata![WellKnown.SealingExtension]!["chargedMicrocredits"]!;
    }

    [Fact]
    public void A_kind_that_is_not_known_yet_counts_and_says_nothing()
    {
        var json = JsonSerializer.Serialize(Event(2, JobEventKind.UnitLeased, new JobEventBody()), WireJson.Options).Replace("unitLeased", "unitTeleported", StringComparison.Ordinal);
        var unknown = JsonSerializer.Deserialize<JobEvent>(json, WireJson.Options)!;
        var view = View(Event(1, JobEventKind.Submitted, new JobEventBody(Status: JobStatus.Submitted)));

        Assert.Equal(JobEventKind.Unknown, unknown.Kind);
        Assert.Empty(view.Apply(unknown));
        Assert.Equal((2, TaskState.Submitted), (view.Seq, view.State));
    }
}
