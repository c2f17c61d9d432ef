using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace RenderTrust.A2A.Tests;

/// <summary>An agent whose stream the test feeds. A null event stands for a broken store.</summary>
internal sealed class ScriptedAgent : IA2AAgent
{
    public Channel<StreamResponse?> Events { get; } = Channel.CreateUnbounded<StreamResponse?>();

    public TaskCompletionSource StreamEnded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public List<StreamResponse> Flushed { get; } = [];

    public SendMessageRequest? LastSend { get; private set; }

    public A2ACall? LastCall { get; private set; }

    public static AgentTask Task(TaskState state) => new() { Id = "t1", ContextId = "c1", Status = new AgentTaskStatus { State = state } };

    public async Task<SendMessageResponse> SendMessageAsync(SendMessageRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        LastSend = request;
        LastCall = call;
        call.Flushed = Flushed.Add;
        await System.Threading.Tasks.Task.Yield();
        return request.Message!.Parts[0].Text switch
        {
            "explode" => throw new InvalidOperationException("secret detail"),
            "message" => new SendMessageResponse { Message = new Message { MessageId = "m2", Role = Role.Agent, Parts = [Part.FromText("hello")] } },
            _ => new SendMessageResponse { Task = Task(TaskState.Completed) },
        };
    }

    public async IAsyncEnumerable<StreamResponse> SendStreamingMessageAsync(
        SendMessageRequest request, A2ACall call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        call.Flushed = Flushed.Add;
        try
        {
            await foreach (var next in Events.Reader.ReadAllAsync(cancellationToken))
            {
                yield return next ?? throw new InvalidOperationException("The store is gone.");
            }
        }
        finally
        {
            StreamEnded.TrySetResult();
        }
    }

    public Task<AgentTask> GetTaskAsync(GetTaskRequest request, A2ACall call, CancellationToken cancellationToken) =>
        request.Id == "t1" ? System.Threading.Tasks.Task.FromResult(Task(TaskState.Working)) : throw new A2AErrorException(A2AError.TaskNotFound(request.Id));

    public Task<AgentTask> CancelTaskAsync(CancelTaskRequest request, A2ACall call, CancellationToken cancellationToken) =>
        throw new A2AErrorException(A2AError.TaskNotCancelable(request.Id, TaskState.Completed));

    public IAsyncEnumerable<StreamResponse> SubscribeToTaskAsync(SubscribeToTaskRequest request, A2ACall call, CancellationToken cancellationToken) =>
        request.Id == "t1" ? SendStreamingMessageAsync(new SendMessageRequest(), call, cancellationToken) : throw new A2AErrorException(A2AError.TaskNotFound(request.Id));
}
