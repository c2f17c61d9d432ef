using RenderTrust.Contracts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Overflow;
using RenderTrust.Scheduler.Results;
using RenderTrust.Scheduler.Timings;
using RenderTrust.Scheduler.Traces;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler;

/// <summary>The route table: path, policy, slice.</summary>
internal static class Routes
{
    public static void MapRoutes(this IEndpointRouteBuilder app)
    {
        var gateway = app.MapGroup("").RequireInternal(Apps.Gateway);
        SubmitJob.Map(gateway);
        GetTask.Map(gateway);
        CancelTask.Map(gateway);
        TailJobEvents.Map(gateway);
        RecordTimings.Map(gateway);
        OpenNodeSession.Map(gateway);
        CloseNodeSession.Map(gateway);
        RecordHeartbeats.Map(gateway);
        AcceptResult.Map(gateway);
        RecordProgress.Map(gateway);
        ListNodes.MapInternal(gateway);

        // Any part of the platform, the sidecar too: which job a span belongs to is checked with each.
        RecordSpans.Map(app.MapGroup("").RequireInternal());

        OnUnitOverflowed.Map(app);

        var jobs = app.MapGroup("").RequireScope(Scopes.Jobs);
        ListJobs.Map(jobs);
        GetJob.Map(jobs);
        ListUnits.Map(jobs);
        GetUnit.Map(jobs);
        ListOutputs.Map(jobs);
        GetManifestGrants.Map(jobs);
        GetTrace.Map(jobs);
        AddClientSpans.Map(jobs);

        var nodes = app.MapGroup("").RequireScope(Scopes.Nodes);
        ListNodes.Map(nodes);
    }
}
