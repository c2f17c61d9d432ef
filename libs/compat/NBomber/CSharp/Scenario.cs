using System.Collections.Immutable;
using NBomber.Contracts;

namespace NBomber.CSharp;

/// <summary>Describes one flow of a virtual user. Every call returns a new description.</summary>
public static class Scenario
{
    public static ScenarioProps Create(string name, Func<IScenarioContext, Task<IResponse>> run) => new() { ScenarioName = name, RunIteration = run };

    /// <summary>Runs before warm-up; an exception here ends the whole session.</summary>
    public static ScenarioProps WithInit(this ScenarioProps scenario, Func<IScenarioInitContext, Task> initFunc) => scenario with { InitOnce = initFunc };

    /// <summary>Runs after the last iteration, also after a stop; an exception here is only reported.</summary>
    public static ScenarioProps WithClean(this ScenarioProps scenario, Func<IScenarioInitContext, Task> cleanFunc) => scenario with { CleanOnce = cleanFunc };

    /// <summary>The same load as later, cut at this time, and counted nowhere. Default 30 s.</summary>
    public static ScenarioProps WithWarmUpDuration(this ScenarioProps scenario, TimeSpan duration) => scenario with { WarmUp = duration };

    public static ScenarioProps WithoutWarmUp(this ScenarioProps scenario) => scenario with { WarmUp = TimeSpan.Zero };

    /// <summary>One after the other. Default: one copy for a minute.</summary>
    public static ScenarioProps WithLoadSimulations(this ScenarioProps scenario, params LoadSimulation[] loadSimulations) =>
        scenario with { Simulations = [.. loadSimulations] };

    /// <summary>Whether a step that fails ends its iteration. Default true.</summary>
    public static ScenarioProps WithRestartIterationOnFail(this ScenarioProps scenario, bool shouldRestart) => scenario with { RestartsOnFail = shouldRestart };

    /// <summary>More failed iterations than this end the whole test. Default 5000.</summary>
    public static ScenarioProps WithMaxFailCount(this ScenarioProps scenario, int maxFailCount) => scenario with { MostFailures = maxFailCount };

    /// <summary>What must hold for the test to pass; see <see cref="Threshold"/>.</summary>
    public static ScenarioProps WithThresholds(this ScenarioProps scenario, params Threshold[] thresholds) => scenario with { Checks = thresholds.ToImmutableArray() };
}
