using NBomber.Contracts.Stats;

namespace NBomber.Contracts;

/// <summary>Looks by name: <c>Get</c> throws when there is none, <c>Find</c> answers null.</summary>
public static class StatsExtensions
{
    public static ScenarioStats Get(this ScenarioStats[] scenarioStats, string name) => scenarioStats.Find(name) ?? throw new KeyNotFoundException($"There is no scenario '{name}'.");

    public static ScenarioStats? Find(this ScenarioStats[] scenarioStats, string name) => Array.Find(scenarioStats, stats => stats.ScenarioName == name);

    public static bool Exists(this ScenarioStats[] scenarioStats, string name) => scenarioStats.Find(name) is not null;

    public static StepStats Get(this StepStats[] stepStats, string name) => stepStats.Find(name) ?? throw new KeyNotFoundException($"There is no step '{name}'.");

    public static StepStats? Find(this StepStats[] stepStats, string name) => Array.Find(stepStats, stats => stats.StepName == name);

    public static bool Exists(this StepStats[] stepStats, string name) => stepStats.Find(name) is not null;

    public static StatusCodeStats Get(this StatusCodeStats[] statusCodes, string statusCode) =>
        statusCodes.Find(statusCode) ?? throw new KeyNotFoundException($"There is no status code '{statusCode}'.");

    public static StatusCodeStats? Find(this StatusCodeStats[] statusCodes, string statusCode) => Array.Find(statusCodes, stats => stats.StatusCode == statusCode);

    public static bool Exists(this StatusCodeStats[] statusCodes, string statusCode) => statusCodes.Find(statusCode) is not null;
}
