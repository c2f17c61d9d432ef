namespace RenderTrust.Contracts;

/// <summary>Media types of the parts that a job's messages and artifacts are made of.</summary>
public static class MediaTypes
{
    /// <summary>A2A data part: <see cref="JobSpec"/>.</summary>
    public const string JobSpec = "application/vnd.rendertrust.job+json";

    /// <summary>A2A raw part: sealed bytes (manifest or asset), at most 1 MiB inline in all.</summary>
    public const string Sealed = "application/vnd.rendertrust.sealed";

    /// <summary>A2A data part of an artifact: <see cref="UnitOutput"/>.</summary>
    public const string Output = "application/vnd.rendertrust.output+json";
}

/// <summary>Identifiers that other systems see.</summary>
public static class WellKnown
{
    /// <summary>URI of the A2A extension that says: assets and parameters are sealed.</summary>
    public const string SealingExtension = "https://rendertrust.dev/extensions/sealed-jobs/v1";

    /// <summary>Issuer and audience of access tokens.</summary>
    public const string TokenIssuer = "rendertrust";

    /// <summary>
    /// SAN URI of the certificate that signs key statements. The same CA certifies nodes and servers, and none of those may vouch for
    /// keys: clients refuse a statement whose certificate lacks this URI.
    /// </summary>
    public const string StatementSignerUri = "urn:rendertrust:key-statements";
}

/// <summary>Pub/sub topics, and the Dapr components that carry them.</summary>
public static class Topics
{
    public const string PubSub = "pubsub";
    public const string Broadcast = "broadcast";
    public const string NodeEvents = "node-events";
    public const string Usage = "usage";
    public const string LedgerEvents = "ledger-events";
    public const string Evidence = "evidence";
    public const string ModuleEvents = "module-events";
    public const string Revocations = "revocations";
    public const string Fleet = "fleet";
    public const string Overflow = "overflow";
}

/// <summary>Dapr app ids.</summary>
public static class Apps
{
    public const string Gateway = "gateway";
    public const string Scheduler = "scheduler";

    /// <summary>The scheduler's program in its role of a placer, in a cluster that scales placement by itself.</summary>
    public const string Placer = "scheduler-placer";
    public const string Ledger = "ledger";
    public const string Identity = "identity";
    public const string Catalog = "catalog";
}
