using System.Text.Json.Serialization;

namespace RenderTrust.Cli.Demo;

/// <summary>What <c>demo --json FILE</c> writes. Names are a contract; amounts are micro-credits, times milliseconds unless the name says otherwise.</summary>
internal sealed record DemoResult
{
    public bool Ok { get; init; }
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Error { get; init; }
    public string Module { get; init; } = "";
    public string Node { get; init; } = "";
    public string Runner { get; init; } = "";
    public string Sidecar { get; init; } = "";
    public int Units { get; init; }
    public int Attempts { get; init; }
    public int Frames { get; init; }
    public int FramesOpened { get; init; }
    public bool HashesMatch { get; init; }
    public long HeldMicrocredits { get; init; }
    public long ChargedMicrocredits { get; init; }
    public long ReleasedMicrocredits { get; init; }
    public long NodeEarnedMicrocredits { get; init; }
    public long DeveloperEarnedMicrocredits { get; init; }
    public long PlatformEarnedMicrocredits { get; init; }
    public long LedgerSumMicrocredits { get; init; }
    public int PlaintextHits { get; init; }
    public bool PlaintextControlFound { get; init; }
    public double SubmitMs { get; init; }
    public double DispatchMs { get; init; }
    public double ReturnMs { get; init; }
    public double LedgerMs { get; init; }
    public double ControlPlaneMs { get; init; }
    public double TotalSeconds { get; init; }

    /// <summary>With <c>--chaos</c> only: processes killed while the job ran.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Kills { get; init; }

    /// <summary>With <c>--chaos</c> only: every unit has one charge, and the creator paid their sum.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? ChargedOnce { get; init; }
}
