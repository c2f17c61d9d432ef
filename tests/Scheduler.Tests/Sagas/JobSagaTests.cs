using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;

namespace RenderTrust.Scheduler.Tests;

/// <summary>The order of the steps alone: every answer is made up.</summary>
public sealed class JobSagaTests
{
    private static readonly JobId Job = JobId.New();

    [Fact]
    public async Task What_is_told_twice_is_acted_on_once()
    {
        var failed = Failed(0);
        var saga = new MadeUpEngine { Signals = { failed, failed, Ended, Ended } };

        await saga.RunAsync(new JobSagaState(Job, []));

        Assert.Equal(["AwaitOutcome", "RetryElsewhere", "Settle", "RecordEvidence"], saga.Asked);
    }

    [Fact]
    public async Task A_saga_that_is_told_something_at_birth_does_not_look_for_it()
    {
        var saga = new MadeUpEngine();

        await saga.RunAsync(new JobSagaState(Job, [Ended]));

        Assert.Equal(["Settle", "RecordEvidence"], saga.Asked);
    }

    [Fact]
    public async Task A_saga_that_comes_after_the_end_closes_at_once()
    {
        var saga = new MadeUpEngine { Answer = call => call.Step == SagaStepName.AwaitOutcome ? StepOutcome.JobEnded : StepOutcome.Done };

        await saga.RunAsync(new JobSagaState(Job, []));

        Assert.Equal(["AwaitOutcome", "Settle", "RecordEvidence"], saga.Asked);
    }

    [Fact]
    public async Task Overflow_that_is_not_allowed_any_more_refunds()
    {
        var failed = Failed(0);
        var saga = new MadeUpEngine
        {
            Signals = { failed with { Failure = failed.Failure! with { FailedNodes = 2, OverflowAllowed = true } } },
            Answer = call => call.Step == SagaStepName.Overflow ? StepOutcome.NotAllowed : StepOutcome.Done,
        };

        await saga.RunAsync(new JobSagaState(Job, []));

        Assert.Equal(["AwaitOutcome", "Overflow", "Refund", "Settle", "RecordEvidence"], saga.Asked);
    }

    [Fact]
    public async Task Books_that_take_their_time_are_waited_for_in_runs_of_bounded_length()
    {
        const int times = 500;
        var asked = 0;
        var saga = new MadeUpEngine
        {
            Signals = { Ended },
            Answer = call => call.Step == SagaStepName.Settle && asked++ < times ? StepOutcome.NotYet : StepOutcome.Done,
        };

        await saga.RunAsync(new JobSagaState(Job, []));

        Assert.Equal("RecordEvidence", saga.Asked[^1]);
        Assert.InRange(saga.Runs, 10, 100);
        Assert.InRange(saga.LongestRun, 2, JobSaga.MostEntries);
        Assert.Equal(1, saga.Delays[0].TotalSeconds);
        Assert.Equal(60, saga.Delays.Max().TotalSeconds);
    }

    [Fact]
    public async Task A_parked_saga_lets_everything_pass_but_the_operators_word()
    {
        var fails = true;
        var saga = new MadeUpEngine
        {
            Answer = call => call.Step == SagaStepName.Refund && fails ? throw new StepFailedException(call, "the ledger is gone") : StepOutcome.Done,
        };
        var failed = Failed(0);
        saga.Signals.Add(failed with { Failure = failed.Failure! with { AnotherNodeCouldRun = false } });
        saga.Signals.AddRange(Enumerable.Range(1, 200).Select(Failed));
        saga.Signals.Add(new SagaSignal("resumed", SagaSignalKind.Resumed));
        saga.WhenDrained = () => fails = false;

        await saga.RunAsync(new JobSagaState(Job, []));

        Assert.Equal(["AwaitOutcome", "Refund", "Park", "Refund", "Settle", "RecordEvidence"], saga.Asked);
        Assert.InRange(saga.LongestRun, 2, JobSaga.MostEntries);
    }

    [Fact]
    public async Task A_saga_that_cannot_even_be_parked_tries_again_after_a_pause()
    {
        var failures = 2;
        var saga = new MadeUpEngine
        {
            Signals = { Ended },
            Answer = call => call.Step is SagaStepName.Park || (call.Step == SagaStepName.Settle && failures-- > 0) ? throw new StepFailedException(call, "no database") : StepOutcome.Done,
        };

        await saga.RunAsync(new JobSagaState(Job, []));

        Assert.Equal(["AwaitOutcome", "Settle", "Park", "Settle", "Park", "Settle", "RecordEvidence"], saga.Asked);
        Assert.Equal(2, saga.Delays.Count);
    }

    private static SagaSignal Ended => new("ended", SagaSignalKind.Ended);

    private static SagaSignal Failed(int unit) => new(
        $"failed/{unit}", SagaSignalKind.UnitFailed, new UnitFailure(unit, AttemptId.New(), 1, "module_failed", "it broke", FailedNodes: 1, FailuresPerUnit: 2, AnotherNodeCouldRun: true));

    /// <summary>Answers as it is told, and goes on with the next run until the saga ends.</summary>
    private sealed class MadeUpEngine : IJobSagaContext
    {
        private int position;
        private int entries;
        private JobSagaState? next;

        public List<SagaSignal> Signals { get; } = [];

        public Func<StepCall, StepOutcome> Answer { get; init; } = _ => StepOutcome.Done;

        public Action WhenDrained { get; set; } = () => { };

        public List<string> Asked { get; } = [];

        public List<TimeSpan> Delays { get; } = [];

        public int Runs { get; private set; }

        public int LongestRun { get; private set; }

        public async Task RunAsync(JobSagaState? state)
        {
            for (; state is not null; state = next)
            {
                (next, entries) = (null, 0);
                Runs++;
                await new JobSaga(this, state).RunAsync();
            }
        }

        public Task<StepOutcome> CallAsync(StepCall call)
        {
            Count();
            Asked.Add($"{(call.Undo ? "Undo" : "")}{call.Step}");
            return Task.FromResult(Answer(call));
        }

        public Task<SagaSignal> NextSignalAsync()
        {
            Count();
            var signal = Signals[position++];
            if (position == Signals.Count)
            {
                WhenDrained();
            }

            return Task.FromResult(signal);
        }

        public Task DelayAsync(TimeSpan delay)
        {
            Count();
            Delays.Add(delay);
            return Task.CompletedTask;
        }

        public bool IsPatched(string patch) => true;

        public void ContinueAsNew(JobSagaState state, bool keepSignals) => next = state;

        private void Count() => LongestRun = Math.Max(LongestRun, ++entries);
    }
}
