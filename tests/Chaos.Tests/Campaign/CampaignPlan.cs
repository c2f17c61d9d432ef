namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>How much of everything. <c>RENDERTRUST_LONG=1</c> takes the long form, <c>RENDERTRUST_SEED</c> repeats the choices of a run.</summary>
internal sealed record CampaignPlan(string Form, int Seed, int Jobs, int JobsInFlight, int RandomKills, int HitsPerFailpoint, int Nodes, TimeSpan Limit)
{
    /// <summary>More jobs than planned are submitted while kills are still to come; a bound, since a failpoint that is never reached would go on for ever.</summary>
    public int MostJobs => Jobs * 10;

    public static CampaignPlan Read()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_SEED"), out var given) ? given : Random.Shared.Next();
        return Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1"
            ? new CampaignPlan("long", seed, Jobs: 500, JobsInFlight: 8, RandomKills: 250, HitsPerFailpoint: 5, Nodes: 3, TimeSpan.FromHours(3))
            : new CampaignPlan("short", seed, Jobs: 40, JobsInFlight: 8, RandomKills: 15, HitsPerFailpoint: 1, Nodes: 3, TimeSpan.FromMinutes(20));
    }
}
