using NBomber.Contracts;
using NBomber.Contracts.Stats;

namespace NBomber.Running;

/// <summary>Looks at the thresholds of one scenario.</summary>
internal sealed class ThresholdWatch(ScenarioProps scenario)
{
    private readonly List<State> _states = [.. scenario.Checks.Select(threshold => new State(threshold))];

    /// <summary>True when a threshold ends the session.</summary>
    public bool Look(ScenarioStats stats, TimeSpan elapsed)
    {
        foreach (var state in _states.Where(state => elapsed >= (state.Threshold.StartCheckAfter ?? TimeSpan.Zero)))
        {
            state.Check(stats);
        }

        return _states.Exists(state => state.Aborts);
    }

    public IEnumerable<ThresholdResult> Finish(ScenarioStats stats)
    {
        foreach (var state in _states)
        {
            state.Check(stats);
            yield return new ThresholdResult
            {
                ScenarioName = scenario.ScenarioName,
                StepName = state.Threshold.StepName,
                CheckExpression = state.Text,
                ExceptionMsg = state.Exception,
                ErrorCount = state.Errors,
                IsFailed = !state.Holds || state.Aborts,
            };
        }
    }

    private sealed class State(Threshold threshold)
    {
        private readonly Func<ScenarioStats, bool>? _ofScenario = threshold.CheckScenario?.Compile();
        private readonly Func<StepStats, bool>? _ofStep = threshold.CheckStep?.Compile();

        public Threshold Threshold => threshold;

        public string Text { get; } = (threshold.CheckScenario?.Body ?? threshold.CheckStep!.Body).ToString();

        public bool Holds { get; private set; } = true;

        public int Errors { get; private set; }

        public string Exception { get; private set; } = "";

        public bool Aborts => threshold.AbortWhenErrorCount is { } most && Errors >= most;

        public void Check(ScenarioStats stats)
        {
            try
            {
                Holds = _ofScenario?.Invoke(stats) ?? _ofStep!(stats.StepStats.Get(threshold.StepName));
                Exception = "";
            }
            catch (Exception exception)
            {
                // A check that cannot be made is not one that holds; the caller's code may throw anything.
                (Holds, Exception) = (false, exception.Message);
            }

            Errors += Holds ? 0 : 1;
        }
    }
}
