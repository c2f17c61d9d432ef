using NBomber.Contracts;

namespace NBomber.Running;

/// <summary>Ends an iteration whose step has failed. It has been counted already.</summary>
internal sealed class StepFailedException : Exception;

/// <summary>What an exception in a scenario's code counts as.</summary>
internal static class Outcome
{
    public static Response<T> Of<T>(Exception exception) => exception switch
    {
        StepFailedException => new Response<T>("", isError: true, 0, "", 0),
        OperationCanceledException => new Response<T>("-100", isError: true, 0, "operation timeout", 0),
        _ => new Response<T>("-101", isError: true, 0, exception.Message, 0),
    };
}
