namespace RenderTrust.Scheduler.Overflow;

/// <summary>What the overflow lane asks for at one moment.</summary>
/// <param name="Waiting">Units in the lane that agents of this pool could run.</param>
/// <param name="Running">Attempts that agents of this pool hold.</param>
internal sealed record OverflowDemand(int Waiting, int Running);

internal static class OverflowRules
{
    /// <summary>Agents for all units that wait or run, in whole agents, up to the limit. Running ones count: their agent may have died.</summary>
    public static int Wanted(OverflowDemand demand, int slotsPerAgent, int mostAgents) =>
        (int)Math.Min(mostAgents, ((long)demand.Waiting + demand.Running + slotsPerAgent - 1) / slotsPerAgent);

    /// <summary>Doubled with every failure, so that a machine that cannot start agents is not kept busy with trying.</summary>
    public static TimeSpan StartPause(int failures, OverflowOptions options) =>
        TimeSpan.FromSeconds(failures <= 0 ? 0 : Math.Min(options.StartPauseMaxSeconds, options.StartPauseSeconds * Math.Pow(2, Math.Min(failures - 1, 30))));
}
