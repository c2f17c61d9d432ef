using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Client.Identity;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Jobs;

/// <summary>Files that are sealed together as one asset, and the folder under the job's input that they appear in.</summary>
/// <param name="MountPath">Relative folder, or empty for the input folder itself.</param>
public sealed record DraftAsset(string MountPath, IReadOnlyList<AssetSource> Files);

/// <summary>A job before it is sealed and sent.</summary>
public sealed record JobDraft
{
    /// <summary>Made by the client, so that a repeat names the same job.</summary>
    public JobId JobId { get; init; } = JobId.New();

    /// <summary>Name and version, <c>povray@1.0.0</c>.</summary>
    public required string Module { get; init; }

    /// <summary>Sealed parameters of all units; an object.</summary>
    public JsonElement Parameters { get; init; } = JsonElement.Parse("{}");

    /// <summary>Sealed parameters of each unit; one object a unit.</summary>
    public required IReadOnlyList<JsonElement> Units { get; init; }

    public IReadOnlyList<DraftAsset> Assets { get; init; } = [];

    /// <summary>Most device seconds that one unit may take and be charged for.</summary>
    public required int MaxUnitDeviceSeconds { get; init; }

    /// <summary>The most that the whole job may cost.</summary>
    public required long CapMicrocredits { get; init; }

    /// <summary>From submission; open units fail after it.</summary>
    public int DeadlineSeconds { get; init; } = 86_400;

    /// <summary>Only what the module's public schema marks; the platform reads it.</summary>
    public JsonElement? PublicParameters { get; init; }

    /// <summary>
    /// Lets a unit that failed on two nodes, or that no node can run any more, go to agents that the platform itself starts: the job is then sealed
    /// to the platform's overflow pool as well, so machines of the platform can open it. Charges and caps stay the same. Without it they cannot.
    /// </summary>
    public bool AllowOverflow { get; init; }

    /// <summary>A2A context to put the task in; null lets the platform make one.</summary>
    public string? ContextId { get; init; }

    /// <summary>Nodes to seal for; null takes every node whose key statement the platform shows and that verifies.</summary>
    public IReadOnlyList<VerifiedRecipient>? Nodes { get; init; }

    /// <summary>More keys that may open the outputs, beside the profile's own.</summary>
    public IReadOnlyList<RecipientPublicKey> OtherOutputRecipients { get; init; } = [];
}

/// <summary>What a submission does right now, for progress displays.</summary>
public enum SubmitStage
{
    Sealing,
    Uploading,
    Sending,
}

/// <param name="Bytes">Bytes done of this stage's current asset.</param>
/// <param name="TotalBytes">Of the current asset; 0 where it is not known yet.</param>
public sealed record SubmitProgress(SubmitStage Stage, int AssetIndex, int AssetCount, long Bytes, long TotalBytes);

/// <summary>An accepted job.</summary>
/// <param name="ManifestSha256">Hash of the sealed manifest: with the job id, what the submission is known by.</param>
public sealed record SubmittedJob(JobId JobId, string TaskId, string ContextId, string ManifestSha256, int UnitCount);

/// <summary>A job that is sealed, uploaded and recorded, and not yet sent.</summary>
public sealed class PreparedJob
{
    internal PreparedJob(JobSpec spec, SendMessageRequest message) => (Spec, Message) = (spec, message);

    public JobId JobId => Spec.JobId;

    internal JobSpec Spec { get; }

    internal SendMessageRequest Message { get; }
}
