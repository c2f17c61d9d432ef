using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>
/// How much of everything. <c>RENDERTRUST_LONG=1</c> takes the long form, <c>RENDERTRUST_SEED</c> repeats the choices of a run, and
/// <c>RENDERTRUST_MINUTES</c> says for how long it may kill.
/// </summary>
/// <param name="Failpoints">Where to kill: everywhere in the long form, at some that each run draws anew in the short one.</param>
/// <param name="KillFor">When this is over nobody is killed any more and what there is gets its verdict: too few kills fail then, and say so.</param>
internal sealed record CampaignPlan(string Form, int Seed, int Jobs, int JobsInFlight, int RandomKills, IReadOnlyList<string> Failpoints, int HitsPerFailpoint, int MostArmed, int Nodes, TimeSpan KillFor)
{
    private const int DrawnFailpoints = 18;
    private static readonly TimeSpan StartAndRest = TimeSpan.FromMinutes(12);

    /// <summary>More jobs than planned are submitted while kills are still to come; a bound, since a failpoint that is never reached would go on for ever.</summary>
    public int MostJobs => Jobs * 10;

    public TimeSpan Limit => KillFor + StartAndRest;

    public static CampaignPlan Read()
    {
        var seed = Number("RENDERTRUST_SEED") ?? Random.Shared.Next();
        var minutes = Number("RENDERTRUST_MINUTES");
        return Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1"
            ? new CampaignPlan("long", seed, Jobs: 500, JobsInFlight: 8, RandomKills: 250, Contracts.Failpoints.All, HitsPerFailpoint: 5, MostArmed: 6, Nodes: 3, TimeSpan.FromMinutes(minutes ?? 180))
            : new CampaignPlan("short", seed, Jobs: 30, JobsInFlight: 8, RandomKills: 12, Drawn(seed), HitsPerFailpoint: 1, MostArmed: 6, Nodes: 3, TimeSpan.FromMinutes(minutes ?? 15));
    }

    private static string[] Drawn(int seed)
    {
        var all = Contracts.Failpoints.All.ToArray();
        new Random(seed).Shuffle(all);
        return all[..DrawnFailpoints];
    }

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var given) ? given : null;
}
