using Microsoft.AspNetCore.Http;

namespace RenderTrust.A2A;

/// <summary>
/// What an agent does behind the protocol. Requests arrive checked for form; the caller is whoever <see cref="A2ACall.Http"/> says.
/// Refuse with <see cref="A2AErrorException"/>; anything else that escapes is reported as an internal error without details.
/// The operations that have a body here are optional in the protocol and answer as the protocol prescribes when not offered.
/// </summary>
public interface IA2AAgent
{
    Task<SendMessageResponse> SendMessageAsync(SendMessageRequest request, A2ACall call, CancellationToken cancellationToken);

    /// <summary>The first event is a task, or the only one is a message. Throwing before the first event gives an ordinary error answer.</summary>
    IAsyncEnumerable<StreamResponse> SendStreamingMessageAsync(SendMessageRequest request, A2ACall call, CancellationToken cancellationToken);

    Task<AgentTask> GetTaskAsync(GetTaskRequest request, A2ACall call, CancellationToken cancellationToken);

    Task<AgentTask> CancelTaskAsync(CancelTaskRequest request, A2ACall call, CancellationToken cancellationToken);

    /// <summary>The first event is the task's snapshot.</summary>
    IAsyncEnumerable<StreamResponse> SubscribeToTaskAsync(SubscribeToTaskRequest request, A2ACall call, CancellationToken cancellationToken);

    Task<ListTasksResponse> ListTasksAsync(ListTasksRequest request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.UnsupportedOperation("This agent does not list tasks. Keep the ids it gives you and use GetTask."));

    Task<TaskPushNotificationConfig> CreatePushNotificationConfigAsync(TaskPushNotificationConfig request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.PushNotificationNotSupported());

    Task<TaskPushNotificationConfig> GetPushNotificationConfigAsync(PushNotificationConfigRequest request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.PushNotificationNotSupported());

    Task<ListPushNotificationConfigsResponse> ListPushNotificationConfigsAsync(ListPushNotificationConfigsRequest request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.PushNotificationNotSupported());

    Task DeletePushNotificationConfigAsync(PushNotificationConfigRequest request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.PushNotificationNotSupported());

    Task<AgentCard> GetExtendedAgentCardAsync(GetExtendedAgentCardRequest request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.UnsupportedOperation("This agent declares no extended card; the public card is complete."));
}

/// <summary>The circumstances of one call.</summary>
public sealed class A2ACall(HttpContext http, IReadOnlyList<string> extensions)
{
    public HttpContext Http { get; } = http;

    /// <summary>URIs that the client listed in A2A-Extensions and the server supports.</summary>
    public IReadOnlyList<string> Extensions { get; } = extensions;

    /// <summary>Called after an answer or an event has been flushed to the connection; for measuring, so it must not throw or wait.</summary>
    public Action<StreamResponse>? Flushed { get; set; }
}
