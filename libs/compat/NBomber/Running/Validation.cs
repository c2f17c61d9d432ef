using NBomber.Contracts;

namespace NBomber.Running;

/// <summary>What cannot run is refused before anything runs.</summary>
internal static class Validation
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ShortestReporting = TimeSpan.FromSeconds(5);

    /// <summary>The scenarios to run.</summary>
    public static IReadOnlyList<ScenarioProps> Check(NBomberContext context)
    {
        Require(context.Scenarios.Length > 0, "No scenario is registered. Give RegisterScenarios at least one.");
        foreach (var scenario in context.Scenarios)
        {
            Check(scenario);
        }

        if (context.Scenarios.GroupBy(scenario => scenario.ScenarioName).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidOperationException($"Two scenarios are called '{twice.Key}'. Give each a name of its own.");
        }

        Require(
            context.ReportingInterval >= ShortestReporting,
            $"The reporting interval is {context.ReportingInterval.TotalSeconds} s. The least is {ShortestReporting.TotalSeconds} s.");
        var unknown = context.Targets.FirstOrDefault(target => context.Scenarios.All(scenario => scenario.ScenarioName != target));
        Require(unknown is null, $"The target scenario '{unknown}' is not registered. There are: {string.Join(", ", context.Scenarios.Select(scenario => scenario.ScenarioName))}.");
        return context.Targets.Length == 0 ? context.Scenarios : [.. context.Scenarios.Where(scenario => context.Targets.Contains(scenario.ScenarioName))];
    }

    private static void Check(ScenarioProps scenario)
    {
        Require(!string.IsNullOrWhiteSpace(scenario.ScenarioName), "A scenario has no name.");
        var name = scenario.ScenarioName;
        Require(scenario.Simulations.Length > 0, $"Scenario '{name}' has no load simulation. Give it one, or leave WithLoadSimulations out for one copy during a minute.");
        foreach (var simulation in scenario.Simulations)
        {
            var kind = Schedule.NameOf(simulation.Kind);
            Require(simulation.Copies >= 0 && simulation.Rate >= 0 && simulation.LeastRate >= 0, $"Scenario '{name}', {kind}: copies and rates are not negative.");
            Require(simulation.EndsByCount || simulation.During >= Shortest, $"Scenario '{name}', {kind}: it takes {simulation.During.TotalSeconds} s. The least is 1 s.");
            Require(!simulation.IsOpen || simulation.Interval > TimeSpan.Zero, $"Scenario '{name}', {kind}: the interval is {simulation.Interval}. It must be more than nothing.");
            Require(!simulation.IsOpen || simulation.EndsByCount || simulation.Interval <= simulation.During, $"Scenario '{name}', {kind}: the interval of {simulation.Interval} is longer than the {simulation.During} of all of it.");
            Require(simulation.Kind != SimulationKind.InjectRandom || simulation.LeastRate < simulation.Rate, $"Scenario '{name}', {kind}: the least rate of {simulation.LeastRate} is not below the most of {simulation.Rate}.");
            Require(!simulation.EndsByCount || (simulation.Iterations > 0 && simulation.Rate + simulation.Copies > 0), $"Scenario '{name}', {kind}: iterations and copies or rate must be above 0.");
        }

        var planned = scenario.Simulations.Aggregate(TimeSpan.Zero, (sum, simulation) => sum + Schedule.Planned(simulation));
        Require(
            scenario.WarmUp <= planned || scenario.Simulations.Any(simulation => simulation.EndsByCount),
            $"Scenario '{name}': the warm-up of {scenario.WarmUp.TotalSeconds} s is longer than the load of {planned.TotalSeconds} s. Shorten it with WithWarmUpDuration, or leave it out with WithoutWarmUp.");
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
        {
            throw new InvalidOperationException(message);
        }
    }
}
