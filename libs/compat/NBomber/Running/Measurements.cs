using NBomber.Contracts;
using NBomber.Contracts.Stats;

namespace NBomber.Running;

/// <summary>What the iterations and steps of one scenario came to in one phase.</summary>
internal sealed class Measurements
{
    /// <summary>The name of the line of whole iterations in reports.</summary>
    public const string Global = "global information";

    private readonly Lock _lock = new();
    private readonly Pair _iterations = new();
    private readonly List<(string Name, Pair Pair)> _steps = [];

    /// <summary>Failed iterations so far.</summary>
    public int Failures
    {
        get
        {
            lock (_lock)
            {
                return _iterations.Fail.Count;
            }
        }
    }

    public void AddIteration(IResponse response, TimeSpan measured)
    {
        lock (_lock)
        {
            _iterations.Add(response, measured);
        }
    }

    public void AddStep(string name, IResponse response, TimeSpan measured)
    {
        lock (_lock)
        {
            var pair = _steps.Find(step => step.Name == name).Pair;
            if (pair is null)
            {
                pair = new Pair();
                _steps.Add((name, pair));
            }

            pair.Add(response, measured);

            // The scenario's own codes are those of all its steps together.
            (response.IsError ? _iterations.Fail : _iterations.Ok).AddCode(response);
        }
    }

    public ScenarioStats Build(string name, TimeSpan executed, OperationType operation, LoadSimulation? simulation, int value)
    {
        lock (_lock)
        {
            var pairs = _steps.Select(step => step.Pair).Append(_iterations).ToList();
            return new ScenarioStats
            {
                ScenarioName = name,
                Ok = _iterations.Ok.Build(executed, _iterations.Count),
                Fail = _iterations.Fail.Build(executed, _iterations.Count),
                StepStats =
                [
                    .. _steps.Select(step => new StepStats
                    {
                        StepName = step.Name,
                        Ok = step.Pair.Ok.Build(executed, step.Pair.Count),
                        Fail = step.Pair.Fail.Build(executed, step.Pair.Count),
                    }),
                ],
                LoadSimulationStats = new LoadSimulationStats { SimulationName = simulation is null ? "" : Schedule.NameOf(simulation.Kind), Value = value },
                CurrentOperation = operation,
                AllRequestCount = pairs.Sum(pair => pair.Count),
                AllOkCount = pairs.Sum(pair => pair.Ok.Count),
                AllFailCount = pairs.Sum(pair => pair.Fail.Count),
                AllBytes = pairs.Sum(pair => pair.Ok.AllBytes + pair.Fail.AllBytes),
                Duration = executed,
            };
        }
    }

    private sealed class Pair
    {
        public Recorder Ok { get; } = new();

        public Recorder Fail { get; } = new();

        public int Count => Ok.Count + Fail.Count;

        public void Add(IResponse response, TimeSpan measured) => (response.IsError ? Fail : Ok).Add(response, measured);
    }
}
