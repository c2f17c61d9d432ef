using System.Globalization;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>What a creator is told when a job is not taken. The reasons are stable names for machines; docs/errors.md lists them.</summary>
internal static class JobRefusals
{
    public const string Domain = "rendertrust.dev";

    /// <summary>Null when the job was taken.</summary>
    public static A2AError? Of(SubmitJobResponse response, JobMessage job)
    {
        var path = job.SpecPath;
        var spec = job.Spec;
        return response.Outcome switch
        {
            SubmitOutcome.Accepted or SubmitOutcome.AlreadyAccepted => null,
            SubmitOutcome.ConflictingContent => Refuse(
                $"{path}.jobId", "CONFLICTING_CONTENT", $"Job {spec.JobId} was submitted before with other content. Send the same content again, or make a new job id.", response, ("jobId", spec.JobId.ToString())),
            SubmitOutcome.UnknownModule => UnknownModule(path, spec.Module),
            SubmitOutcome.ManifestRateBelowNodeRate => Refuse(
                $"{path}.module", "RATE_BELOW_NODE_RATE", $"{spec.Module} costs less than a node earns. Its developer has to publish a version with a higher rate.", response, ("module", spec.Module)),
            SubmitOutcome.NoEligibleRecipient => Refuse(
                $"{path}.grants", "NO_ELIGIBLE_RECIPIENT", "No granted recipient is a node that can run this module. Fetch /v1/identity/key-statements?kind=node again and grant to nodes with the capabilities needed.", response, ("module", spec.Module)),
            SubmitOutcome.CapBelowPrice => Refuse(
                $"{path}.capMicrocredits",
                "CAP_BELOW_PRICE",
                $"The job may cost up to {response.PriceMicrocredits} micro-credits, the cap is {spec.CapMicrocredits}. Raise capMicrocredits, or lower unitCount or maxUnitDeviceSeconds.",
                response,
                ("priceMicrocredits", Number(response.PriceMicrocredits)),
                ("capMicrocredits", Number(spec.CapMicrocredits))),
            SubmitOutcome.AccountBlocked => Refuse(path, "ACCOUNT_BLOCKED", "The account owes credits from a dispute and cannot spend. Settle the balance first.", response),
            SubmitOutcome.InsufficientCredits => Refuse(
                path,
                "INSUFFICIENT_CREDITS",
                $"The job needs {response.PriceMicrocredits} micro-credits set aside, {response.AvailableMicrocredits} are available. Top up, or lower unitCount or maxUnitDeviceSeconds.",
                response,
                ("priceMicrocredits", Number(response.PriceMicrocredits)),
                ("availableMicrocredits", Number(response.AvailableMicrocredits))),
            _ => throw new InvalidOperationException($"The scheduler answered {response.Outcome}, which this gateway does not know."),
        };
    }

    public static A2AError UnknownModule(string specPath, string module) =>
        A2AError.InvalidParams($"{specPath}.module", $"Module {module} is not published. See /v1/modules for names and versions.").WithInfo("UNKNOWN_MODULE", Domain, ("module", module));

    public static A2AError MissingBlobs(IReadOnlyList<(string Path, AssetRef Asset)> missing) =>
        A2AError.InvalidParams([.. missing.Select(m => new FieldViolation(m.Path, $"Blob {m.Asset.BlobSha256} is neither inline nor uploaded. Upload it to /v1/uploads, then send the message again."))])
            .WithInfo("BLOB_MISSING", Domain, ("sha256", string.Join(",", missing.Select(m => m.Asset.BlobSha256).Distinct())));

    private static A2AError Refuse(string field, string reason, string ownWords, SubmitJobResponse response, params (string Key, string Value)[] metadata) =>
        A2AError.InvalidParams(field, response.Explanation is { Length: > 0 } explanation ? explanation : ownWords).WithInfo(reason, Domain, metadata);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
