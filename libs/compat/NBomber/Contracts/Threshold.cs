using System.Linq.Expressions;
using NBomber.Contracts.Stats;

namespace NBomber.Contracts;

/// <summary>
/// What must hold. It is looked at in every reporting interval from <see cref="StartCheckAfter"/> on and once more at the end. It has failed when it does
/// not hold at the end, or when it did not hold <see cref="AbortWhenErrorCount"/> times, which ends the session early.
/// </summary>
public sealed class Threshold
{
    private Threshold(string stepName, Expression<Func<StepStats, bool>>? checkStep, Expression<Func<ScenarioStats, bool>>? checkScenario, int? abortWhenErrorCount, TimeSpan? startCheckAfter)
    {
        (StepName, CheckStep, CheckScenario, AbortWhenErrorCount, StartCheckAfter) = (stepName, checkStep, checkScenario, abortWhenErrorCount, startCheckAfter);
    }

    /// <summary>Empty for one of the whole scenario.</summary>
    public string StepName { get; }

    public Expression<Func<StepStats, bool>>? CheckStep { get; }

    public Expression<Func<ScenarioStats, bool>>? CheckScenario { get; }

    public int? AbortWhenErrorCount { get; }

    public TimeSpan? StartCheckAfter { get; }

    public static Threshold Create(Expression<Func<ScenarioStats, bool>> checkScenario, int? abortWhenErrorCount = null, TimeSpan? startCheckAfter = null) =>
        new("", null, checkScenario, abortWhenErrorCount, startCheckAfter);

    public static Threshold Create(string stepName, Expression<Func<StepStats, bool>> checkStep, int? abortWhenErrorCount = null, TimeSpan? startCheckAfter = null) =>
        new(stepName, checkStep, null, abortWhenErrorCount, startCheckAfter);
}
