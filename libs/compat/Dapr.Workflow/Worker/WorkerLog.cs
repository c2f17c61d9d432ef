using Microsoft.Extensions.Logging;

namespace Dapr.Workflow.Worker;

internal static partial class WorkerLog
{
    [LoggerMessage(LogLevel.Information, "Workflow worker connected to {Address} with {Workflows} workflows and {Activities} activities")]
    public static partial void LogConnected(this ILogger logger, string address, int workflows, int activities);

    [LoggerMessage(LogLevel.Warning, "Workflow worker lost {Address}; it tries again at once, then at most every {DelaySeconds} s. Check that the sidecar runs and that DAPR_GRPC_PORT names its port")]
    public static partial void LogDisconnected(this ILogger logger, Exception? exception, string address, double delaySeconds);

    [LoggerMessage(LogLevel.Debug, "Workflow worker did not reach {Address} either")]
    public static partial void LogStillDisconnected(this ILogger logger, Exception? exception, string address);

    [LoggerMessage(LogLevel.Warning, "The sidecar did not answer the workflow worker's greeting; the stream is opened anew")]
    public static partial void LogUnanswered(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "The sidecar sent a work item of an unknown kind; a newer sidecar may need a newer worker")]
    public static partial void LogUnknownItem(this ILogger logger);

    [LoggerMessage(LogLevel.Debug, "Turn of {InstanceId}: {PastEvents} past and {NewEvents} new events, {Actions} actions")]
    public static partial void LogTurn(this ILogger logger, string instanceId, int pastEvents, int newEvents, int actions);

    [LoggerMessage(LogLevel.Warning, "The turn of workflow instance {InstanceId} has taken more than {Seconds} s: its code probably blocks the thread, as Task.Wait and Task.Result do")]
    public static partial void LogTurnTakesLong(this ILogger logger, string instanceId, double seconds);

    [LoggerMessage(LogLevel.Warning, "The history of workflow instance {InstanceId} holds no start; the turn was answered with nothing")]
    public static partial void LogNoStart(this ILogger logger, string instanceId);

    [LoggerMessage(LogLevel.Error, "Workflow {Workflow} instance {InstanceId} failed")]
    public static partial void LogWorkflowFailed(this ILogger logger, Exception exception, string workflow, string instanceId);

    [LoggerMessage(LogLevel.Error, "Workflow {Workflow} instance {InstanceId} is held: action {ActionId} of its history is {Expected}, but the code asks for {Found} there. Bring back the code that fits, or put the change behind IsPatched")]
    public static partial void LogMismatch(this ILogger logger, Exception? codeFailure, string workflow, string instanceId, int actionId, string expected, string found);

    [LoggerMessage(LogLevel.Error, "Code of workflow instance {InstanceId} went on outside its turn")]
    public static partial void LogForeign(this ILogger logger, Exception exception, string instanceId);

    [LoggerMessage(LogLevel.Warning, "Activity {Activity} (task {TaskId} of {InstanceId}) failed")]
    public static partial void LogActivityFailed(this ILogger logger, Exception exception, string activity, int taskId, string instanceId);

    [LoggerMessage(LogLevel.Error, "Activity {Activity} was asked for by {InstanceId} but is not registered")]
    public static partial void LogActivityUnknown(this ILogger logger, string activity, string instanceId);

    [LoggerMessage(LogLevel.Warning, "An answer for {InstanceId} did not reach the sidecar and was dropped; the sidecar gives the work out again")]
    public static partial void LogAnswerLost(this ILogger logger, Exception exception, string instanceId);

    [LoggerMessage(LogLevel.Debug, "The turn of {InstanceId} ended after its stream was lost; its answer was dropped")]
    public static partial void LogAnswerLate(this ILogger logger, string instanceId);

    [LoggerMessage(LogLevel.Error, "A work item for {InstanceId} could not be done")]
    public static partial void LogItemFailed(this ILogger logger, Exception exception, string instanceId);

    [LoggerMessage(LogLevel.Information, "Workflow worker stopped; {Running} work items were not waited for")]
    public static partial void LogStopped(this ILogger logger, int running);
}
