namespace RenderTrust.Sidecar.Configuration;

/// <param name="MaxRetries">Beside the first try; -1 never gives up.</param>
/// <param name="HttpCodes">Null retries every failure.</param>
/// <param name="GrpcCodes">Null retries every failure.</param>
internal sealed record RetryDefinition(bool IsExponential, TimeSpan Duration, TimeSpan MaxInterval, int MaxRetries, CodeSet? HttpCodes, CodeSet? GrpcCodes);

/// <param name="HalfOpenRequests">Calls let through when <paramref name="OpenFor"/> is over; as many successes close the breaker.</param>
/// <param name="CountInterval">After which the counts start anew while closed; zero never.</param>
/// <param name="OpenFor">How long calls are refused.</param>
/// <param name="Trip">Over the fields of <see cref="Resilience.BreakerCounts"/>.</param>
internal sealed record BreakerDefinition(int HalfOpenRequests, TimeSpan CountInterval, TimeSpan OpenFor, PubSub.RoutingRule Trip);

internal sealed record PolicyDefinition(TimeSpan? Timeout, RetryDefinition? Retry, BreakerDefinition? Breaker)
{
    public bool IsEmpty => Timeout is null && Retry is null && Breaker is null;
}

/// <summary>All <c>kind: Resiliency</c> that one app sees, names looked up.</summary>
internal sealed record ResiliencyDefinition
{
    public static readonly ResiliencyDefinition None = new();

    public IReadOnlyDictionary<string, PolicyDefinition> Apps { get; init; } = new Dictionary<string, PolicyDefinition>();
    public IReadOnlyDictionary<string, PolicyDefinition> Actors { get; init; } = new Dictionary<string, PolicyDefinition>();
    public IReadOnlyDictionary<string, PolicyDefinition> Inbound { get; init; } = new Dictionary<string, PolicyDefinition>();
    public IReadOnlyDictionary<string, PolicyDefinition> Outbound { get; init; } = new Dictionary<string, PolicyDefinition>();

    /// <summary>For targets that no document names.</summary>
    public PolicyDefinition? DefaultApp { get; init; }
    public PolicyDefinition? DefaultActor { get; init; }
    public PolicyDefinition? DefaultInbound { get; init; }
    public PolicyDefinition? DefaultOutbound { get; init; }
}
