using RenderTrust.A2A;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>Faults of the services behind the gateway, and what an A2A client is told of them.</summary>
internal static class NeighbourFaults
{
    public static bool IsOne(Exception exception) => exception is AppUnavailableException or UnknownOutcomeException or AppCallException or IdentityUnavailableException;

    public static A2AError? Explain(Exception exception) => exception switch
    {
        UnknownOutcomeException => A2AError.Internal("A part of the platform did not answer in time. Whether the request took effect is not known: send it again with the same job id, it takes effect once.")
            .WithInfo("OUTCOME_UNKNOWN", JobRefusals.Domain),
        _ when IsOne(exception) => A2AError.Internal("A part of the platform is not reachable. Running jobs go on; try again in a few seconds, and follow a task again with SubscribeToTask.")
            .WithInfo("SERVICE_UNAVAILABLE", JobRefusals.Domain),
        _ => null,
    };
}
