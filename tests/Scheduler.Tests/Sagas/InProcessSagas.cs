using System.Collections.Concurrent;
using System.Text.Json;
using System.Threading.Channels;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>When a fault strikes a call: before its effect, or after it and before its answer is known.</summary>
internal enum Moment
{
    Before,
    After,
}

/// <summary>
/// A durable engine in memory: it records every answer that a saga got, and after a crash runs the saga's code again over the record. A call is tried
/// three times, and may be struck by faults. All that passes goes through JSON, as it would on the wire.
/// </summary>
internal sealed class InProcessSagas(SagaSteps steps) : IJobSagaEngine, IAsyncDisposable
{
    private const int Tries = 3;
    private readonly ConcurrentDictionary<JobId, Run> runs = new();

    /// <summary>By job; throws to strike.</summary>
    public ConcurrentDictionary<JobId, Action<StepCall, Moment>> Faults { get; } = new();

    /// <summary>Jobs whose every call is carried out twice, at the same time and once more after that: what lost answers lead to.</summary>
    public ConcurrentDictionary<JobId, bool> Twice { get; } = new();

    /// <summary>The engine's own answer is lost: thrown after a start or a signal was taken.</summary>
    public Func<JobId, bool>? LosesAnswer { get; set; }

    public bool IsAway { get; set; }

    /// <summary>Sagas that the engine has trouble with.</summary>
    public ConcurrentDictionary<JobId, bool> Refuses { get; } = new();

    public IReadOnlyList<StepCall> Calls(JobId jobId) => [.. runs.TryGetValue(jobId, out var run) ? run.Calls : []];

    public int Signals(JobId jobId) => runs.TryGetValue(jobId, out var run) ? run.SignalsTaken : 0;

    public int LongestHistory(JobId jobId) => runs.TryGetValue(jobId, out var run) ? run.LongestHistory : 0;

    public bool HasEnded(JobId jobId) => runs.TryGetValue(jobId, out var run) && run.Ended;

    public bool Knows(JobId jobId) => runs.ContainsKey(jobId);

    /// <summary>The process dies and comes back: all that was not recorded is lost.</summary>
    public void Crash(JobId jobId) => runs[jobId].Crash();

    /// <summary>The engine's memory is gone for this saga.</summary>
    public async Task LoseAsync(JobId jobId)
    {
        if (runs.TryRemove(jobId, out var run))
        {
            await run.DisposeAsync();
        }
    }

    public Task<bool> StartAsync(JobSagaState state, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        if (Refuses.ContainsKey(state.JobId))
        {
            throw new InvalidOperationException("This saga is stalled.");
        }

        var run = new Run(this, Copy(state));
        if (!runs.TryAdd(state.JobId, run))
        {
            // As the real one: a saga that has ended begins anew.
            if (!runs[state.JobId].Ended)
            {
                return Task.FromResult(false);
            }

            runs[state.JobId] = run;
        }

        run.Begin();
        return Answer(state.JobId, true);
    }

    public Task<bool> RaiseAsync(JobId jobId, SagaSignal signal, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        if (!runs.TryGetValue(jobId, out var run))
        {
            return Task.FromResult(false);
        }

        run.Raise(Copy(signal));
        return Answer(jobId, true);
    }

    public async Task ForgetAsync(JobId jobId, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        await LoseAsync(jobId);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var jobId in runs.Keys)
        {
            await LoseAsync(jobId);
        }
    }

    private static T Copy<T>(T value) => JsonSerializer.Deserialize<T>(JsonSerializer.SerializeToUtf8Bytes(value, WireJson.Options), WireJson.Options)!;

    private void ThrowIfAway()
    {
        if (IsAway)
        {
            throw new SagaEngineUnavailableException("The engine is away.", new TimeoutException());
        }
    }

    private Task<bool> Answer(JobId jobId, bool answer) => LosesAnswer?.Invoke(jobId) == true
        ? throw new SagaEngineUnavailableException("The answer was lost.", new TimeoutException())
        : Task.FromResult(answer);

    private sealed record Entry(string What, StepOutcome? Outcome = null, SagaSignal? Signal = null, string? Failure = null);

    private sealed class Run(InProcessSagas engine, JobSagaState state) : IAsyncDisposable
    {
        private readonly Channel<SagaSignal> inbox = Channel.CreateUnbounded<SagaSignal>();
        private readonly List<Entry> history = [];
        private CancellationTokenSource life = new();
        private Task running = Task.CompletedTask;
        private JobSagaState state = state;

        public ConcurrentQueue<StepCall> Calls { get; } = new();

        /// <summary>Also those that it was born with.</summary>
        public int SignalsTaken { get; private set; } = state.Signals.Count;

        public int LongestHistory { get; private set; }

        public bool Ended { get; private set; }

        public void Begin()
        {
            life = new CancellationTokenSource();
            running = Task.Run(() => LiveAsync(life.Token));
        }

        public void Crash()
        {
            life.Cancel();
            var dying = running;
            _ = Task.Run(async () =>
            {
                await dying;
                Begin();
            });
        }

        public void Raise(SagaSignal signal) => inbox.Writer.TryWrite(signal);

        public async ValueTask DisposeAsync()
        {
            await life.CancelAsync();
            await running;
            life.Dispose();
        }

        private async Task LiveAsync(CancellationToken cancellationToken)
        {
            try
            {
                JobSagaState? next;
                do
                {
                    var context = new Context(engine, this, cancellationToken);
                    await new JobSaga(context, Copy(state)).RunAsync();
                    next = context.Next;
                    if (next is not null)
                    {
                        state = Copy(next);
                        history.Clear();
                    }
                }
                while (next is not null);
                Ended = true;
            }
            catch (OperationCanceledException)
            {
                // It crashed, or the test is over.
            }
        }

        private sealed class Context(InProcessSagas engine, Run run, CancellationToken cancellationToken) : IJobSagaContext
        {
            private int position;

            public JobSagaState? Next { get; private set; }

            public async Task<StepOutcome> CallAsync(StepCall call)
            {
                var entry = await RecordedAsync($"{(call.Undo ? "undo " : "")}{call.Key}", what => CarryOutAsync(what, Copy(call)));
                return entry.Outcome ?? throw new StepFailedException(call, entry.Failure!);
            }

            public async Task<SagaSignal> NextSignalAsync() =>
                (await RecordedAsync("signal", async what =>
                {
                    var signal = await run.inbox.Reader.ReadAsync(cancellationToken);
                    run.SignalsTaken++;
                    return new Entry(what, Signal: signal);
                })).Signal!;

            // Time passes quickly here.
            public async Task DelayAsync(TimeSpan delay) =>
                await RecordedAsync("delay", async what =>
                {
                    await Task.Delay(delay / 20, cancellationToken);
                    return new Entry(what);
                });

            public bool IsPatched(string patch) => true;

            public void ContinueAsNew(JobSagaState state, bool keepSignals)
            {
                Next = state;
                while (!keepSignals && run.inbox.Reader.TryRead(out _))
                {
                    // Handed over again if it still matters.
                }
            }

            private async Task<Entry> RecordedAsync(string what, Func<string, Task<Entry>> live)
            {
                if (position < run.history.Count)
                {
                    var recorded = run.history[position++];
                    return recorded.What == what ? recorded : throw new InvalidOperationException($"The saga asks for '{what}' where '{recorded.What}' is recorded.");
                }

                var entry = await live(what);
                cancellationToken.ThrowIfCancellationRequested();
                run.history.Add(entry);
                position++;
                run.LongestHistory = Math.Max(run.LongestHistory, run.history.Count);
                return entry;
            }

            private async Task<Entry> CarryOutAsync(string what, StepCall call)
            {
                for (var attempt = 1; ; attempt++)
                {
                    try
                    {
                        run.Calls.Enqueue(call);
                        var fault = engine.Faults.GetValueOrDefault(call.JobId);
                        fault?.Invoke(call, Moment.Before);
                        var outcome = await CarryOutAsync(call);
                        fault?.Invoke(call, Moment.After);
                        return new Entry(what, outcome);
                    }
                    catch (Exception exception) when (attempt == Tries)
                    {
                        return new Entry(what, Failure: exception.Message);
                    }
                    catch (Exception)
                    {
                        cancellationToken.ThrowIfCancellationRequested();
                    }
                }
            }

            private async Task<StepOutcome> CarryOutAsync(StepCall call)
            {
                if (!engine.Twice.ContainsKey(call.JobId))
                {
                    return await engine.Steps.CallAsync(call, CancellationToken.None);
                }

                var together = await Task.WhenAll(engine.Steps.CallAsync(call, CancellationToken.None), engine.Steps.CallAsync(call, CancellationToken.None));
                await engine.Steps.CallAsync(call, CancellationToken.None);
                return together.Min();
            }
        }
    }

    private SagaSteps Steps => steps;
}
