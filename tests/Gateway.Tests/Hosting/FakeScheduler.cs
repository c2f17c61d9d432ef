using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Tests.Hosting;

/// <summary>The scheduler's internal routes over lists in memory: submission by its documented outcomes, logs, and the long poll.</summary>
internal sealed class FakeScheduler
{
    private readonly Lock _lock = new();
    private readonly List<JobEvent> _log = [];
    private readonly Dictionary<TaskId, SubmitJobRequest> _jobs = [];
    private readonly TaskCompletionSource _stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _logStart;

    public ConcurrentQueue<SubmitJobRequest> Submissions { get; } = new();

    public ConcurrentQueue<Timing> Timings { get; } = new();

    /// <summary>When set, every submission is answered like this.</summary>
    public SubmitJobResponse? Refusal { get; set; }

    /// <summary>How many of the next submissions are taken with their answer lost.</summary>
    public int LostAnswers { get; set; }

    public bool IsTailDown { get; set; }

    /// <summary>How many of the next events the tail skips, as if a notification was lost.</summary>
    public int SkippedEvents { get; set; }

    public int TailReads { get; private set; }

    /// <summary>By the owner's id.</summary>
    public ConcurrentDictionary<string, IReadOnlyList<NodeListItem>> Nodes { get; } = new();

    public int NodeReads { get; private set; }

    /// <summary>Questions after the log of one task.</summary>
    public int TaskReads { get; private set; }

    public static TaskId TaskIdOf(TenantId tenant, JobId job) => new(new Guid(SHA256.HashData(Encoding.UTF8.GetBytes($"{tenant}{job}")).AsSpan(0, 16)));

    public void Stop() => _stopping.TrySetResult();

    /// <summary>A log that was restored from a backup: old cursors mean nothing.</summary>
    public void RestoreLog()
    {
        lock (_lock)
        {
            _logStart = 1_000_000;
        }
    }

    public JobEvent Append(TaskId taskId, JobEventKind kind, JobEventBody body)
    {
        TaskCompletionSource news;
        JobEvent added;
        lock (_lock)
        {
            var job = _jobs[taskId];
            added = new JobEvent(taskId, job.Spec.JobId, job.TenantId, job.ContextId, _log.Count(e => e.TaskId == taskId) + 1, kind, DateTimeOffset.UtcNow, body);
            _log.Add(added);
            (news, _news) = (_news, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        news.TrySetResult();
        return added;
    }

    /// <summary>An event of any tenant's job, whether it was submitted here or not.</summary>
    public void Append(JobEvent jobEvent)
    {
        TaskCompletionSource news;
        lock (_lock)
        {
            _log.Add(jobEvent);
            (news, _news) = (_news, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        news.TrySetResult();
    }

    public async Task<IResult> AnswerAsync(HttpContext http, string path) => (http.Request.Method, path.Split('/')) switch
    {
        ("POST", [_, "jobs"]) => Submit((await http.Request.ReadFromJsonAsync<SubmitJobRequest>(WireJson.Options))!),
        ("GET", [_, "tasks", var id]) => Read(id, http.Request.Query["tenantId"]!),
        ("POST", [_, "tasks", var id, "cancel"]) => Cancel(id, (await http.Request.ReadFromJsonAsync<CancelTaskRequest>(WireJson.Options))!),
        ("GET", [_, "job-events"]) => await TailAsync(http.Request.Query["cursor"].ToString(), http.Request.Query["waitSeconds"] == "0", http.RequestAborted),
        ("GET", [_, "nodes"]) => NodesOf(http.Request.Query["tenantId"]!),
        ("POST", [_, "timings"]) => Take((await http.Request.ReadFromJsonAsync<TimingBatch>(WireJson.Options))!),
        _ => Results.Problem(statusCode: 404),
    };

    private IResult NodesOf(string tenant)
    {
        NodeReads++;
        return IsTailDown
            ? Results.Json(new { errorCode = "ERR_DIRECT_INVOKE" }, statusCode: 500)
            : FakeSidecar.Json(new NodeList(Nodes.TryGetValue(tenant, out var nodes) ? nodes : []));
    }

    private IResult Submit(SubmitJobRequest request)
    {
        Submissions.Enqueue(request);
        if (Refusal is { } refusal)
        {
            return FakeSidecar.Json(refusal);
        }

        var taskId = TaskIdOf(request.TenantId, request.Spec.JobId);
        lock (_lock)
        {
            if (_jobs.TryGetValue(taskId, out var known))
            {
                var outcome = known.Spec.Manifest.BlobSha256 == request.Spec.Manifest.BlobSha256 ? SubmitOutcome.AlreadyAccepted : SubmitOutcome.ConflictingContent;
                return FakeSidecar.Json(new SubmitJobResponse(outcome, outcome is SubmitOutcome.AlreadyAccepted ? taskId : null, 0, 0, null));
            }

            _jobs[taskId] = request;
        }

        Append(taskId, JobEventKind.Submitted, new JobEventBody(Status: JobStatus.Submitted, UnitCount: request.Spec.UnitCount));
        if (LostAnswers > 0)
        {
            LostAnswers--;
            return Results.Json(new { errorCode = "ERR_DIRECT_INVOKE" }, statusCode: 500);
        }

        return FakeSidecar.Json(new SubmitJobResponse(SubmitOutcome.Accepted, taskId, 1, 2, null));
    }

    private IResult Read(string id, string tenant)
    {
        TaskReads++;
        return Log(id, tenant) is { } log ? FakeSidecar.Json(log) : Results.Problem(statusCode: 404);
    }

    private TaskLog? Log(string id, string tenant)
    {
        lock (_lock)
        {
            if (!TaskId.TryParse(id, null, out var taskId) || !_jobs.TryGetValue(taskId, out var job) || job.TenantId.ToString() != tenant)
            {
                return null;
            }

            List<JobEvent> events = [.. _log.Where(e => e.TaskId == taskId)];
            return new TaskLog(taskId, job.Spec.JobId, job.ContextId, events.Last(e => e.Body.Status is not null).Body.Status!.Value, events);
        }
    }

    private IResult Cancel(string id, CancelTaskRequest request)
    {
        if (Log(id, request.TenantId.ToString()) is not { } log)
        {
            return FakeSidecar.Json(new CancelTaskResponse(CancelOutcome.UnknownTask, null));
        }

        if (log.Status is JobStatus.Completed or JobStatus.Failed or JobStatus.Canceled)
        {
            return FakeSidecar.Json(new CancelTaskResponse(CancelOutcome.AlreadyEnded, log));
        }

        Append(log.TaskId, JobEventKind.StatusChanged, new JobEventBody(Status: JobStatus.Canceled, Reason: request.Reason));
        return FakeSidecar.Json(new CancelTaskResponse(CancelOutcome.Canceled, Log(id, request.TenantId.ToString())));
    }

    private async Task<IResult> TailAsync(string cursor, bool atOnce, CancellationToken cancellationToken)
    {
        TailReads++;
        while (true)
        {
            Task news;
            lock (_lock)
            {
                if (IsTailDown)
                {
                    return Results.Json(new { errorCode = "ERR_DIRECT_INVOKE" }, statusCode: 500);
                }

                var position = cursor.Length == 0 ? _log.Count : int.Parse(cursor, CultureInfo.InvariantCulture) - _logStart;
                if (position < 0)
                {
                    return Results.Problem("The cursor is not of this log.", statusCode: 400);
                }

                var end = (_logStart + _log.Count).ToString(CultureInfo.InvariantCulture);
                if (cursor.Length == 0 || (atOnce && _log.Count <= position))
                {
                    return FakeSidecar.Json(new JobEventPage([], end));
                }

                if (_log.Count > position)
                {
                    var events = _log[position..];
                    var skipped = Math.Min(SkippedEvents, events.Count);
                    SkippedEvents -= skipped;
                    return FakeSidecar.Json(new JobEventPage(events[skipped..], end));
                }

                news = _news.Task;
            }

            await Task.WhenAny(news, _stopping.Task, Task.Delay(TimeSpan.FromSeconds(1), cancellationToken));
            if (_stopping.Task.IsCompleted || cancellationToken.IsCancellationRequested)
            {
                return Results.StatusCode(503);
            }
        }
    }

    private IResult Take(TimingBatch batch)
    {
        foreach (var timing in batch.Timings)
        {
            Timings.Enqueue(timing);
        }

        return Results.NoContent();
    }
}
