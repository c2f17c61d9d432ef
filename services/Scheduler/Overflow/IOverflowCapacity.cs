namespace RenderTrust.Scheduler.Overflow;

/// <summary>The public half of the key that all agents of the pool share.</summary>
/// <param name="Key">Base64url of the 65-byte P-256 point.</param>
internal sealed record OverflowPoolKey(string KeyId, string Key);

/// <summary>What came of asking for agents.</summary>
/// <param name="Running">Agents that run or are starting, those of an earlier life of this process included.</param>
/// <param name="WhyNotMore">Why fewer run than were wanted; null when enough do.</param>
internal sealed record OverflowAgents(int Running, string? WhyNotMore);

/// <summary>Where overflow agents run: processes of this machine, or later a cluster that scales.</summary>
internal interface IOverflowCapacity
{
    /// <summary>Makes the pool's key unless it is there. The private half stays with the agents.</summary>
    /// <exception cref="OverflowCapacityException">There is no key to be had.</exception>
    Task<OverflowPoolKey> OpenPoolAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Sees to it that so many agents run. Never stops one: an agent ends by itself when it has nothing to do. Repeating it starts nothing twice, also
    /// after a crash of this process.
    /// </summary>
    Task<OverflowAgents> EnsureAsync(int wanted, CancellationToken cancellationToken);
}

/// <summary>Agents cannot be had; the message says why and what to do.</summary>
internal sealed class OverflowCapacityException(string message, Exception? inner = null) : Exception(message, inner);
