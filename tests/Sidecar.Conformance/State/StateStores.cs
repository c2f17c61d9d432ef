namespace RenderTrust.Sidecar.Conformance.State;

internal static class StateStores
{
    /// <summary>The components that every state case runs against.</summary>
    public static string[] All { get; } = ["memory", "postgres", "postgres-v1", "redis", "sqlite"];

    /// <summary>Those of which a refused transaction has changed nothing.</summary>
    public static string[] Atomic { get; } = [.. All.Where(store => store != "redis" || Differences.RefusedTransactionOnRedisDoesNothing.Expected)];

    /// <summary>Those which tell when a value ends.</summary>
    public static string[] TellingExpiry { get; } = [.. All.Where(store => store != "redis" || Differences.RedisTellsExpiry.Expected)];

    public static string NewKey() => $"k-{Guid.CreateVersion7():N}";
}
