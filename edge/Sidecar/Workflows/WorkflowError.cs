using Grpc.Core;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>A refusal of the engine; each API says it in its own way.</summary>
internal sealed class WorkflowError(StatusCode status, string message) : Exception(message)
{
    public StatusCode Status => status;
    public bool IsUnknownInstance { get; private init; }

    /// <summary>Ends with the words by which SDKs know it.</summary>
    public static WorkflowError Unknown(InstanceAddress address) => new(StatusCode.Unknown, $"workflow '{address.InstanceId}' of app {address.AppId}: no such instance exists") { IsUnknownInstance = true };

    public static WorkflowError NotFound(InstanceAddress address) => new(StatusCode.NotFound, $"workflow '{address.InstanceId}' of app {address.AppId}: no such instance exists");

    public static WorkflowError Invalid(string message) => new(StatusCode.InvalidArgument, message);

    /// <summary>The outcome is not known, or nothing was tried: asking again is safe.</summary>
    public static WorkflowError Unavailable() => new(StatusCode.Unavailable, "The workflow tables cannot be written now; the request may or may not have taken effect. Ask again; if it stays so, look after the database of the actor state store.");
}
