using System.Runtime.InteropServices;
using NBomber.Contracts;
using NBomber.Contracts.Stats;
using NBomber.Reports;

namespace NBomber.Running;

/// <summary>Init, warm-up, load, clean, reports: in this order, all scenarios side by side.</summary>
internal sealed class Session : ISession
{
    private readonly NBomberContext _context;
    private readonly IReadOnlyList<ScenarioProps> _scenarios;
    private readonly Dictionary<string, CancellationTokenSource> _stops;

    public Session(NBomberContext context, TimeProvider time)
    {
        _context = context;
        _scenarios = Validation.Check(context);
        _stops = _scenarios.ToDictionary(scenario => scenario.ScenarioName, _ => new CancellationTokenSource());
        Time = time;
        TestInfo = new TestInfo
        {
            SessionId = $"{time.GetUtcNow():yyyy-MM-dd_HH.mm.ff}_session_{Guid.CreateVersion7():N}"[..40],
            TestSuite = context.TestSuite,
            TestName = context.TestName,
        };
    }

    public TestInfo TestInfo { get; }

    public TimeProvider Time { get; }

    public NodeInfo NodeInfo => Node(OperationType.Bombing);

    public async Task<NodeStats> RunAsync()
    {
        var begun = new List<ScenarioProps>();
        try
        {
            foreach (var scenario in _scenarios)
            {
                begun.Add(scenario);
                await (scenario.InitOnce?.Invoke(About(scenario, ScenarioOperation.Init)) ?? Task.CompletedTask);
            }

            await WarmUpAsync();
            var stats = await LoadAsync();
            await CleanAsync(begun);
            stats.ReportFiles = ReportWriter.Write(_context, stats, Time.GetUtcNow());
            return stats;
        }
        catch
        {
            await CleanAsync(begun);
            throw;
        }
    }

    public void StopScenario(string scenarioName, string reason)
    {
        if (_stops.TryGetValue(scenarioName, out var stop))
        {
            Console.Error.WriteLine($"NBomber: scenario '{scenarioName}' is stopped: {reason}");
            stop.Cancel();
        }
    }

    public void StopCurrentTest(string reason)
    {
        foreach (var stop in _stops.Values.Where(stop => !stop.IsCancellationRequested))
        {
            Console.Error.WriteLine($"NBomber: the test is stopped: {reason}");
            stop.Cancel();
        }
    }

    private async Task WarmUpAsync()
    {
        var warming = _scenarios.Where(scenario => scenario.WarmUp > TimeSpan.Zero).ToList();
        if (warming.Count == 0)
        {
            return;
        }

        await Task.WhenAll(warming.Select(async scenario =>
        {
            using var cut = new CancellationTokenSource(scenario.WarmUp, Time);
            using var run = new ScenarioRun(this, scenario, ScenarioOperation.WarmUp, _stops[scenario.ScenarioName].Token);
            await run.RunAsync(_context.CompletionTimeout, cut.Token);
        }));

        // What warming up left behind is not the load's to clear away.
        GC.Collect();
        await Task.Delay(TimeSpan.FromSeconds(1), Time);
    }

    private async Task<NodeStats> LoadAsync()
    {
        var runs = _scenarios.Select(scenario =>
            (Run: new ScenarioRun(this, scenario, ScenarioOperation.Bombing, _stops[scenario.ScenarioName].Token), Watch: new ThresholdWatch(scenario))).ToList();
        using var done = new CancellationTokenSource();
        var watching = WatchAsync(runs, done.Token);
        await Task.WhenAll(runs.Select(pair => pair.Run.RunAsync(_context.CompletionTimeout, CancellationToken.None)));
        await done.CancelAsync();
        await watching;

        var stats = runs.ConvertAll(pair => pair.Run.Stats(OperationType.Complete));
        runs.ForEach(pair => pair.Run.Dispose());
        return new NodeStats
        {
            ScenarioStats = [.. stats],
            Thresholds = [.. runs.Zip(stats, (pair, final) => pair.Watch.Finish(final)).SelectMany(results => results)],
            NodeInfo = Node(OperationType.Complete),
            TestInfo = TestInfo,
            AllRequestCount = stats.Sum(scenario => scenario.AllRequestCount),
            AllOkCount = stats.Sum(scenario => scenario.AllOkCount),
            AllFailCount = stats.Sum(scenario => scenario.AllFailCount),
            AllBytes = stats.Sum(scenario => scenario.AllBytes),
            Duration = stats.Max(scenario => scenario.Duration),
        };
    }

    private async Task WatchAsync(List<(ScenarioRun Run, ThresholdWatch Watch)> runs, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(_context.ReportingInterval, Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!cancellationToken.IsCancellationRequested && runs.Exists(pair => pair.Watch.Look(pair.Run.Stats(OperationType.Bombing), pair.Run.Executed)))
            {
                StopCurrentTest("a threshold failed as often as it may");
            }
        }
    }

    private async Task CleanAsync(List<ScenarioProps> begun)
    {
        foreach (var scenario in begun)
        {
            try
            {
                await (scenario.CleanOnce?.Invoke(About(scenario, ScenarioOperation.Clean)) ?? Task.CompletedTask);
            }
            catch (Exception exception)
            {
                // The figures are measured; a scenario's clean-up must not lose them.
                await Console.Error.WriteLineAsync($"NBomber: clean-up of '{scenario.ScenarioName}' failed: {exception.Message}");
            }
        }

        begun.Clear();
    }

    private InitContext About(ScenarioProps scenario, ScenarioOperation operation) =>
        new(TestInfo, new ScenarioInfo { ScenarioName = scenario.ScenarioName, InstanceId = scenario.ScenarioName, ScenarioOperation = operation }, NodeInfo);

    private static NodeInfo Node(OperationType operation) => new()
    {
        MachineName = Environment.MachineName,
        CurrentOperation = operation,
        OS = RuntimeInformation.OSDescription,
        DotNetVersion = Environment.Version.ToString(),
        Processor = RuntimeInformation.ProcessArchitecture.ToString(),
        CoresCount = Environment.ProcessorCount,
    };
}
