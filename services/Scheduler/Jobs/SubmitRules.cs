using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>What is decided about a submission before the database is asked.</summary>
/// <param name="Refusal">Null when the job may be placed under a hold.</param>
internal sealed record SubmitDecision(
    SubmitOutcome? Refusal, string? Explanation, long PriceMicrocredits, long UnitWorstCaseMicrocredits, IReadOnlyList<string> Recipients, long ScratchBytes);

/// <summary>The rules of a submission over values; looking up an earlier one and the hold are the transaction's part.</summary>
internal static class SubmitRules
{
    public static SubmitDecision Decide(JobSpec spec, ModuleVersion? module, long nodeRatePerMinute)
    {
        if (module is null)
        {
            return Refuse(SubmitOutcome.UnknownModule, $"There is no module {spec.Module}. List the published ones with GET /v1/modules and use name@version.");
        }

        if (module.RatePerMinuteMicrocredits < nodeRatePerMinute)
        {
            return Refuse(
                SubmitOutcome.ManifestRateBelowNodeRate,
                $"Module {spec.Module} charges {module.RatePerMinuteMicrocredits} micro-credits a minute, below the node rate of {nodeRatePerMinute}. Its developer must publish a version at or above it.");
        }

        var recipients = CompleteRecipients(spec);
        if (recipients.Count == 0)
        {
            return Refuse(
                SubmitOutcome.NoEligibleRecipient,
                $"No recipient key holds a grant for the manifest and all {spec.Assets.Count} assets. Wrap every set key for at least one node.");
        }

        var assetBytes = spec.Assets.Aggregate((Int128)0, (total, asset) => total + asset.SizeBytes);
        var limit = (Int128)module.Runtime.ScratchMebibytes * 1_048_576;
        if (assetBytes > limit)
        {
            return Refuse(
                SubmitOutcome.NoEligibleRecipient,
                $"The assets take {assetBytes} bytes, module {spec.Module} opens at most {limit}. Split the scene or use a module with more scratch space.");
        }

        var price = spec.UnitCount * Pricing.UnitWorstCase(spec.MaxUnitDeviceSeconds, module.RatePerMinuteMicrocredits);
        if (price > spec.CapMicrocredits)
        {
            var shown = (long)Int128.Min(price, long.MaxValue);
            return Refuse(
                SubmitOutcome.CapBelowPrice,
                $"The job may cost {shown} micro-credits ({spec.UnitCount} units x {spec.MaxUnitDeviceSeconds} s x {module.RatePerMinuteMicrocredits} a minute), the cap is {spec.CapMicrocredits}. Raise the cap or lower maxUnitDeviceSeconds.",
                shown);
        }

        return new SubmitDecision(
            null, null, (long)price, (long)Pricing.UnitWorstCase(spec.MaxUnitDeviceSeconds, module.RatePerMinuteMicrocredits),
            recipients, (long)limit);
    }

    /// <summary>Keys with a grant for the manifest and for every asset: a node that lacks one could not open the job.</summary>
    internal static IReadOnlyList<string> CompleteRecipients(JobSpec spec)
    {
        var wanted = spec.Assets.Select(asset => asset.AssetId).Append(spec.Manifest.AssetId).ToHashSet();
        return spec.Grants
            .Where(grant => wanted.Contains(grant.AssetId))
            .GroupBy(grant => grant.RecipientKeyId, StringComparer.Ordinal)
            .Where(group => group.Select(grant => grant.AssetId).Distinct().Count() == wanted.Count)
            .Select(group => group.Key)
            .Order(StringComparer.Ordinal)
            .ToList();
    }

    private static SubmitDecision Refuse(SubmitOutcome outcome, string explanation, long price = 0) => new(outcome, explanation, price, 0, [], 0);
}
