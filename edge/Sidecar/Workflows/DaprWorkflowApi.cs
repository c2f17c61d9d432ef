using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Npgsql;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>The workflow block of the Dapr API, the same over HTTP and gRPC. The component's name means nothing: there is one engine.</summary>
internal sealed class DaprWorkflowApi(WorkflowEngines engines)
{
    private const string StartTimeOption = "dapr.workflow.start_time";

    public Task<string> StartAsync(
        HostedApp app, string name, string instanceId, string input, IEnumerable<KeyValuePair<string, string>> options, string? traceParent, CancellationToken cancellationToken)
    {
        var id = instanceId.Length > 0 ? instanceId : Guid.CreateVersion7().ToString();
        if (id.Length > InstanceIds.DaprLengthMax)
        {
            throw new DaprError(400, StatusCode.InvalidArgument, "ERR_INSTANCE_ID_TOO_LONG", $"the workflow instance id has {id.Length} characters (limit {InstanceIds.DaprLengthMax}); use a shorter one");
        }

        if (!InstanceIds.IsDaprId(id))
        {
            throw new DaprError(400, StatusCode.InvalidArgument, "ERR_INSTANCE_ID_INVALID", $"workflow instance id '{id}' is invalid; use letters, digits, dashes and underscores only");
        }

        if (name.Length == 0)
        {
            throw new DaprError(400, StatusCode.InvalidArgument, "ERR_WORKFLOW_NAME_MISSING", "no workflow name was given; give the name under which a worker has registered the workflow");
        }

        var request = new CreateInstanceRequest { InstanceId = id, Name = name, Input = input, ScheduledStartTimestamp = StartTime(options) };
        return RunAsync(app, "ERR_START_WORKFLOW", $"error starting workflow '{name}'", (engine, appId) => engine.StartAsync(appId, request, traceParent, cancellationToken));
    }

    /// <returns>Null where there is no such instance.</returns>
    public Task<InstanceRecord?> GetAsync(HostedApp app, string instanceId, CancellationToken cancellationToken) =>
        RunAsync(app, "ERR_GET_WORKFLOW", $"error while getting workflow '{Required(instanceId)}'", (engine, appId) => engine.GetAsync(appId, instanceId, cancellationToken));

    public Task RaiseAsync(HostedApp app, string instanceId, string eventName, string? payload, CancellationToken cancellationToken)
    {
        Required(instanceId);
        if (eventName.Length == 0)
        {
            throw new DaprError(400, StatusCode.InvalidArgument, "ERR_WORKFLOW_EVENT_NAME_MISSING", "no event name was given; name the event that the workflow waits for");
        }

        return RunAsync(app, "ERR_RAISE_EVENT_WORKFLOW", $"error raising event on workflow '{instanceId}'",
            (engine, appId) => Done(engine.RaiseAsync(appId, instanceId, eventName, payload, cancellationToken)));
    }

    public Task TerminateAsync(HostedApp app, string instanceId, CancellationToken cancellationToken) =>
        RunAsync(app, "ERR_TERMINATE_WORKFLOW", $"error terminating workflow '{Required(instanceId)}'", (engine, appId) =>
            Done(FindAsync(instanceId, engine.TerminateAsync(appId, instanceId, null, recursive: true, cancellationToken))));

    public Task PauseAsync(HostedApp app, string instanceId, CancellationToken cancellationToken) =>
        RunAsync(app, "ERR_PAUSE_WORKFLOW", $"error pausing workflow '{Required(instanceId)}'", (engine, appId) => Done(engine.SuspendAsync(appId, instanceId, null, cancellationToken)));

    public Task ResumeAsync(HostedApp app, string instanceId, CancellationToken cancellationToken) =>
        RunAsync(app, "ERR_RESUME_WORKFLOW", $"error resuming workflow '{Required(instanceId)}'", (engine, appId) => Done(engine.ResumeAsync(appId, instanceId, null, cancellationToken)));

    public Task PurgeAsync(HostedApp app, string instanceId, CancellationToken cancellationToken) =>
        RunAsync(app, "ERR_PURGE_WORKFLOW", $"error purging workflow '{Required(instanceId)}'", (engine, appId) =>
            Done(FindAsync(instanceId, engine.PurgeAsync(appId, instanceId, recursive: true, force: false, cancellationToken))));

    /// <summary>What the Dapr API calls the state of an instance.</summary>
    public static string StatusName(OrchestrationStatus status) => status switch
    {
        OrchestrationStatus.ContinuedAsNew => "CONTINUED_AS_NEW",
        _ => status.ToString().ToUpperInvariant(),
    };

    public static IEnumerable<KeyValuePair<string, string>> Properties(InstanceRecord record)
    {
        yield return new("dapr.workflow.input", record.Started.Input ?? "");
        yield return new("dapr.workflow.custom_status", record.CustomStatus ?? "");
        if (record.Completed?.ExecutionCompleted is not { } completed)
        {
            yield break;
        }

        if (completed.FailureDetails is not { } failure)
        {
            yield return new("dapr.workflow.output", completed.Result ?? "");
            yield break;
        }

        yield return new("dapr.workflow.failure.error_type", failure.ErrorType);
        yield return new("dapr.workflow.failure.error_message", failure.ErrorMessage);
        if (failure.StackTrace is { Length: > 0 } trace)
        {
            yield return new("dapr.workflow.failure.stack_trace", trace);
        }
    }

    private static string Required(string instanceId) => instanceId.Length > 0 ? instanceId
        : throw new DaprError(400, StatusCode.InvalidArgument, "ERR_INSTANCE_ID_PROVIDED_MISSING", "no instance ID was provided");

    private static Timestamp? StartTime(IEnumerable<KeyValuePair<string, string>> options) =>
        options.FirstOrDefault(option => option.Key == StartTimeOption).Value is not { Length: > 0 } text ? null
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment) ? Timestamp.FromDateTimeOffset(moment)
        : throw new DaprError(400, StatusCode.InvalidArgument, "ERR_WORKFLOW_TIME_PARSE", $"{StartTimeOption} '{text}' is not a time; write it as RFC 3339, for example 2026-01-31T08:00:00Z");

    private static async Task FindAsync(string instanceId, Task operation)
    {
        try
        {
            await operation;
        }
        catch (WorkflowError e) when (e.IsUnknownInstance)
        {
            throw new DaprError(404, StatusCode.NotFound, "ERR_INSTANCE_ID_NOT_FOUND", $"unable to find workflow with the provided instance ID: {instanceId}");
        }
    }

    private static async Task<bool> Done(Task operation)
    {
        await operation;
        return true;
    }

    private async Task<T> RunAsync<T>(HostedApp app, string code, string what, Func<WorkflowEngine, string, Task<T>> run)
    {
        try
        {
            var (engine, appId) = engines.For(app, null);
            return await run(engine, appId);
        }
        catch (WorkflowError e) when (e.Status == StatusCode.InvalidArgument)
        {
            throw new DaprError(400, StatusCode.InvalidArgument, code, $"{what}: {e.Message}");
        }
        catch (WorkflowError e) when (e.IsUnknownInstance)
        {
            throw new DaprError(404, StatusCode.NotFound, code, $"{what}: {e.Message}");
        }
        catch (WorkflowError e) when (e.Status is StatusCode.AlreadyExists or StatusCode.Unknown)
        {
            // The caller's view of the instance is not the present one; daprd blames itself for these.
            throw new DaprError(409, e.Status == StatusCode.AlreadyExists ? StatusCode.AlreadyExists : StatusCode.FailedPrecondition, code, $"{what}: {e.Message}");
        }
        catch (WorkflowError e) when (e.Status == StatusCode.FailedPrecondition)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_ACTOR_RUNTIME_NOT_FOUND", e.Message);
        }
        catch (Exception e) when (e is WorkflowError or NpgsqlException or TimeoutException or System.Net.Sockets.SocketException)
        {
            throw new DaprError(500, StatusCode.Internal, code, $"{what}: {e.Message}");
        }
    }
}
