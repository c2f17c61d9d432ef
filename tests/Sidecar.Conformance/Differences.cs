using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance;

/// <summary>One thing that the embedded host does otherwise than daprd 1.18, on purpose.</summary>
public sealed record Difference<T>(T Daprd, T Embedded, string Reason)
{
    /// <summary>What the sidecar under test should do.</summary>
    public T Expected => World.IsEmbedded ? Embedded : Daprd;
}

/// <summary>
/// Every deliberate difference between daprd and the embedded host that a case meets, with its reason. A case asks here what to expect; whatever is
/// not here must be the same. The list may only shrink.
/// </summary>
public static class Differences
{
    /// <summary>Status of raiseEvent, pause and resume of a workflow that does not exist.</summary>
    public static Difference<int> UnknownWorkflow { get; } = new(500, 404, "The caller named something that is not there; a 500 would blame the sidecar and make clients try again.");

    /// <summary>Status of a start whose instance id is in use by a running workflow.</summary>
    public static Difference<int> WorkflowIdInUse { get; } = new(500, 409, "The id is taken: the caller should choose another one, not try again.");

    /// <summary>Status of a purge of a workflow that still runs.</summary>
    public static Difference<int> PurgeOfRunningWorkflow { get; } = new(500, 409, "The instance has to end first: a conflict with its state, no fault of the sidecar.");

    /// <summary>Whether an error of the state and publish APIs carries <c>details</c> beside errorCode and message.</summary>
    public static Difference<bool> ErrorsHaveDetails { get; } = new(true, false, "The same facts are in errorCode and message, which is what SDKs read.");

    /// <summary>Whether a transaction on state.redis that is refused has changed nothing.</summary>
    public static Difference<bool> RefusedTransactionOnRedisDoesNothing { get; } = new(false, true, "All or nothing is what the call promises; one script makes it true.");

    /// <summary>Whether state.redis tells <c>ttlExpireTime</c>.</summary>
    public static Difference<bool> RedisTellsExpiry { get; } = new(false, true, "Every other store tells it, and Redis knows it.");
}
