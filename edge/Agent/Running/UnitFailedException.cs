namespace RenderTrust.Agent.Running;

/// <summary>Classes of a failed unit as the hub knows them (edge.proto, <c>failure_class</c>).</summary>
internal enum FailureClass
{
    ModuleFailed,
    AssetCorrupt,
    NotARecipient,
    DigestMismatch,
    Timeout,
    OutOfMemory,
    ScratchTooSmall,
    Canceled,
    Internal,
}

/// <summary>A unit cannot succeed here. The message goes to the platform and therefore never holds plaintext.</summary>
internal sealed class UnitFailedException(FailureClass failureClass, string message, Exception? inner = null) : Exception(message, inner)
{
    public FailureClass FailureClass { get; } = failureClass;
}

internal static class FailureClasses
{
    public static string ToWire(this FailureClass failureClass) => failureClass switch
    {
        FailureClass.ModuleFailed => "module_failed",
        FailureClass.AssetCorrupt => "asset_corrupt",
        FailureClass.NotARecipient => "not_a_recipient",
        FailureClass.DigestMismatch => "digest_mismatch",
        FailureClass.Timeout => "timeout",
        FailureClass.OutOfMemory => "out_of_memory",
        FailureClass.ScratchTooSmall => "scratch_too_small",
        FailureClass.Canceled => "canceled",
        _ => "internal",
    };
}
