using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>A job that the scheduler has taken.</summary>
/// <param name="IsNew">False for a repeated submission, whose task may be anywhere in its life.</param>
internal sealed record SubmittedJob(TaskId TaskId, TenantId TenantId, JobSpec Spec, string ContextId, DateTimeOffset At, bool IsNew)
{
    /// <summary>A new job as its log begins, without asking: the first event of every log is Submitted.</summary>
    public TaskView FirstView() => TaskView.Of(new TaskLog(
        TaskId, Spec.JobId, ContextId, JobStatus.Submitted,
        [new JobEvent(TaskId, Spec.JobId, TenantId, ContextId, 1, JobEventKind.Submitted, At, new JobEventBody(Status: JobStatus.Submitted, UnitCount: Spec.UnitCount))]));
}

/// <summary>
/// Takes a job from a message to the scheduler. Repeating a message is safe: blobs are stored by hash, and the scheduler looks the job up by its id first.
/// </summary>
internal sealed partial class SubmitJob(AppInvoker apps, IBlobStore blobs, ModuleCache modules, PublicParameters publicParameters, TimeProvider time, ILogger<SubmitJob> logger)
{
    public async Task<SubmittedJob> RunAsync(JobMessage job, TenantId tenant, string? contextId, DateTimeOffset receivedAt, CancellationToken cancellationToken)
    {
        var spec = job.Spec;
        var module = await modules.FindAsync(spec.Module, cancellationToken) ?? throw new A2AErrorException(JobRefusals.UnknownModule(job.SpecPath, spec.Module));
        var violations = await publicParameters.CheckAsync(module, spec.PublicParameters, $"{job.SpecPath}.publicParameters", cancellationToken);
        if (violations.Count > 0)
        {
            throw new A2AErrorException(A2AError.InvalidParams(violations).WithInfo("PUBLIC_PARAMETERS_INVALID", JobRefusals.Domain, ("module", spec.Module)));
        }

        await Task.WhenAll(job.Inline.Select(blob => StoreAsync(tenant, blob, cancellationToken)));
        await RefuseMissingBlobsAsync(job, tenant, cancellationToken);

        var request = new SubmitJobRequest(tenant, contextId ?? Guid.CreateVersion7().ToString(), spec, receivedAt);
        Failpoint.Hit("gateway.submit.afterBlobs");
        var response = await PostAsync(request, cancellationToken);
        Failpoint.Hit("gateway.submit.afterAnswer");
        if (JobRefusals.Of(response, job) is { } refusal)
        {
            LogRefused(logger, spec.JobId, tenant, response.Outcome);
            throw new A2AErrorException(refusal);
        }

        var taskId = response.TaskId ?? throw new InvalidOperationException($"The scheduler answered {response.Outcome} without a task id.");
        LogSubmitted(logger, spec.JobId, taskId, tenant, response.Outcome);
        return new SubmittedJob(taskId, tenant, spec, request.ContextId, time.GetUtcNow(), response.Outcome is SubmitOutcome.Accepted);
    }

    private async Task StoreAsync(TenantId tenant, InlineBlob blob, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream(blob.Bytes, writable: false);
        var outcome = await blobs.PutAsync(tenant, blob.Sha256, content, cancellationToken);
        if (outcome is not (PutOutcome.Stored or PutOutcome.AlreadyThere))
        {
            throw new InvalidOperationException($"The blob store answered {outcome} to sealed bytes whose form, size and hash had been checked.");
        }
    }

    private async Task RefuseMissingBlobsAsync(JobMessage job, TenantId tenant, CancellationToken cancellationToken)
    {
        var inline = job.Inline.Select(blob => blob.Sha256).ToHashSet();
        var missing = new List<(string Path, AssetRef Asset)>();
        foreach (var reference in job.References().Where(reference => !inline.Contains(reference.Asset.BlobSha256)))
        {
            if (!await blobs.ExistsAsync(tenant, reference.Asset.BlobSha256, cancellationToken))
            {
                missing.Add(reference);
            }
        }

        if (missing.Count > 0)
        {
            throw new A2AErrorException(JobRefusals.MissingBlobs(missing));
        }
    }

    private async Task<SubmitJobResponse> PostAsync(SubmitJobRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await apps.PostAsync<SubmitJobRequest, SubmitJobResponse>(Apps.Scheduler, "/internal/jobs", request, cancellationToken);
        }
        catch (Exception exception) when (NeighbourFaults.IsOne(exception))
        {
            // Whether the job was taken is not known; asking again cannot take it twice, and answers AlreadyAccepted if it was.
            LogRetried(logger, request.Spec.JobId, exception.Message);
            return await apps.PostAsync<SubmitJobRequest, SubmitJobResponse>(Apps.Scheduler, "/internal/jobs", request, cancellationToken);
        }
    }

    [LoggerMessage(LogLevel.Information, "Job {JobId} became task {TaskId} of tenant {TenantId}: {Outcome}")]
    private static partial void LogSubmitted(ILogger logger, JobId jobId, TaskId taskId, TenantId tenantId, SubmitOutcome outcome);

    [LoggerMessage(LogLevel.Information, "Job {JobId} of tenant {TenantId} was refused: {Outcome}")]
    private static partial void LogRefused(ILogger logger, JobId jobId, TenantId tenantId, SubmitOutcome outcome);

    [LoggerMessage(LogLevel.Warning, "Job {JobId} is submitted a second time, the first answer was lost: {Cause}")]
    private static partial void LogRetried(ILogger logger, JobId jobId, string cause);
}
