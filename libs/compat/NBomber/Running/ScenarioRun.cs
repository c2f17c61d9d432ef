using System.Collections.Concurrent;
using NBomber.Contracts;
using NBomber.Contracts.Stats;

namespace NBomber.Running;

/// <summary>One scenario in one phase, warm-up or the measured load: releases copies by its simulations and measures them.</summary>
internal sealed class ScenarioRun(ISession session, ScenarioProps scenario, ScenarioOperation operation, CancellationToken stopped) : IDisposable
{
    private static readonly TimeSpan Adjusting = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Task, bool> _running = new();
    private readonly ConcurrentStack<ScenarioContext> _idle = new();
    private readonly Stack<CancellationTokenSource> _constant = new();
    private readonly TimeSpan _planned = scenario.Simulations.Aggregate(TimeSpan.Zero, (sum, simulation) => sum + Schedule.Planned(simulation));
    private readonly CancellationTokenSource _over = new();
    private int _contexts;
    private long _started;
    private TimeSpan _paused;
    private TimeSpan? _executed;
    private LoadSimulation? _simulation;
    private int _value;

    public Measurements Measurements { get; } = new();

    public ScenarioProps Scenario => scenario;

    /// <summary>Since the load began, without pauses.</summary>
    public TimeSpan Executed => _executed ?? (_started == 0 ? TimeSpan.Zero : session.Time.GetElapsedTime(_started) - _paused);

    public ScenarioStats Stats(OperationType current) => Measurements.Build(scenario.ScenarioName, Executed, current, _simulation, _value);

    /// <summary>Runs the simulations one after the other, then waits for what still runs.</summary>
    /// <param name="completion">How long to wait for it.</param>
    /// <param name="cut">Cancelled when the phase is over before the simulations are.</param>
    public async Task RunAsync(TimeSpan completion, CancellationToken cut)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stopped, cut);
        _started = session.Time.GetTimestamp();
        var before = 0;
        try
        {
            foreach (var simulation in scenario.Simulations)
            {
                _simulation = simulation;
                before = simulation switch
                {
                    { IsOpen: true } => await InjectAsync(simulation, before, ending.Token),
                    { Kind: SimulationKind.Pause } => await PauseAsync(simulation, ending.Token),
                    { EndsByCount: true } => await IterateAsync(simulation, ending.Token),
                    _ => await KeepAsync(simulation, before, ending.Token),
                };
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // Stopped early: what ran so far counts.
        }

        SetCopies(0);
        _executed = Executed;
        await DrainAsync(completion);
    }

    public void Dispose() => _over.Dispose();

    private async Task<int> InjectAsync(LoadSimulation simulation, int before, CancellationToken cancellationToken)
    {
        SetCopies(0);
        var started = session.Time.GetTimestamp();
        foreach (var (at, count) in Schedule.Releases(simulation, before, Random.Shared.Next))
        {
            // By the clock and not by waits that add up: a late tick does not delay the next.
            await DelayAsync(at - session.Time.GetElapsedTime(started), cancellationToken);
            _value = count;
            for (var copy = 0; copy < count; copy++)
            {
                Track(OnceAsync(simulation.Interval * Random.Shared.NextDouble()));
            }
        }

        await DelayAsync(Schedule.Planned(simulation) - session.Time.GetElapsedTime(started), cancellationToken);
        return simulation.Rate;
    }

    private async Task<int> PauseAsync(LoadSimulation simulation, CancellationToken cancellationToken)
    {
        SetCopies(0);
        var started = session.Time.GetTimestamp();
        try
        {
            await DelayAsync(simulation.During, cancellationToken);
        }
        finally
        {
            _paused += session.Time.GetElapsedTime(started);
        }

        return 0;
    }

    private async Task<int> KeepAsync(LoadSimulation simulation, int before, CancellationToken cancellationToken)
    {
        var started = session.Time.GetTimestamp();
        for (var elapsed = TimeSpan.Zero; elapsed < simulation.During; elapsed = session.Time.GetElapsedTime(started))
        {
            SetCopies(_value = Schedule.CopiesAt(simulation, before, elapsed));
            var left = simulation.During - elapsed;
            await DelayAsync(left < Adjusting ? left : Adjusting, cancellationToken);
        }

        return simulation.Copies;
    }

    private async Task<int> IterateAsync(LoadSimulation simulation, CancellationToken cancellationToken)
    {
        SetCopies(0);
        _value = simulation.Copies;
        var left = simulation.Iterations;
        var copies = Enumerable.Range(0, simulation.Copies).Select(_ => RepeatAsync(TimeSpan.Zero, () => Interlocked.Decrement(ref left) >= 0, cancellationToken)).ToList();
        copies.ForEach(Track);
        await Task.WhenAll(copies).WaitAsync(cancellationToken);
        return simulation.Copies;
    }

    /// <summary>The closed model: so many looping copies, no more and no fewer.</summary>
    private void SetCopies(int count)
    {
        while (_constant.Count < count)
        {
            var stop = CancellationTokenSource.CreateLinkedTokenSource(stopped);
            _constant.Push(stop);
            Track(RepeatAsync(TimeSpan.FromSeconds(Random.Shared.NextDouble()), () => true, stop.Token));
        }

        while (_constant.Count > count)
        {
            _constant.Pop().Cancel();
        }
    }

    private async Task OnceAsync(TimeSpan delay)
    {
        await DelayAsync(delay, CancellationToken.None);
        if (stopped.IsCancellationRequested)
        {
            return;
        }

        var context = Take();
        await MeasureAsync(context);
        _idle.Push(context);
    }

    private async Task RepeatAsync(TimeSpan delay, Func<bool> goesOn, CancellationToken cancellationToken)
    {
        var context = Take();
        try
        {
            await DelayAsync(delay, cancellationToken);
            while (!cancellationToken.IsCancellationRequested && goesOn())
            {
                await MeasureAsync(context);
            }
        }
        catch (OperationCanceledException)
        {
            // Ended before its first iteration.
        }

        _idle.Push(context);
    }

    private async Task MeasureAsync(ScenarioContext context)
    {
        // A scenario that never waits must not keep its releaser from releasing others.
        await Task.Yield();
        context.InvocationNumber++;
        var started = session.Time.GetTimestamp();
        IResponse response;
        try
        {
            response = await scenario.RunIteration(context);
        }
        catch (Exception exception)
        {
            response = Outcome.Of<object>(exception);
        }

        Measurements.AddIteration(response, session.Time.GetElapsedTime(started));
        context.Data.Clear();
        if (response.IsError && operation == ScenarioOperation.Bombing && Measurements.Failures > scenario.MostFailures)
        {
            session.StopCurrentTest($"scenario '{scenario.ScenarioName}' had more than {scenario.MostFailures} failed iterations");
        }
    }

    private ScenarioContext Take()
    {
        if (_idle.TryPop(out var free))
        {
            return free;
        }

        var number = Interlocked.Increment(ref _contexts) - 1;
        var info = new ScenarioInfo
        {
            InstanceId = $"{scenario.ScenarioName}_{number}",
            InstanceNumber = number,
            ScenarioName = scenario.ScenarioName,
            ScenarioDuration = _planned,
            ScenarioOperation = operation,
        };
        return new ScenarioContext(session, info, Measurements, scenario.RestartsOnFail, _over.Token);
    }

    private void Track(Task copy)
    {
        _running[copy] = true;
        _ = copy.ContinueWith(ended => _running.TryRemove(ended, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task DrainAsync(TimeSpan completion)
    {
        try
        {
            await Task.WhenAll(_running.Keys).WaitAsync(completion, session.Time, CancellationToken.None);
        }
        catch (TimeoutException)
        {
            await Console.Error.WriteLineAsync($"NBomber: {_running.Count} iterations of '{scenario.ScenarioName}' still ran {completion.TotalSeconds:0} s after the load had ended; they are not counted.");
        }

        await _over.CancelAsync();
    }

    private Task DelayAsync(TimeSpan delay, CancellationToken cancellationToken) =>
        delay > TimeSpan.Zero ? Task.Delay(delay, session.Time, cancellationToken) : cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;
}
