using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>All that a run of the saga begins with.</summary>
/// <param name="Signals">Heard, not yet acted on.</param>
/// <param name="Begun">Another run went before.</param>
/// <param name="Ending">Set once the end has begun: the calls that are left, in order.</param>
/// <param name="Parked">The first of them waits for an operator.</param>
internal sealed record JobSagaState(
    JobId JobId, IReadOnlyList<SagaSignal> Signals, bool Begun = false, IReadOnlyList<StepCall>? Ending = null, bool Parked = false);

/// <summary>
/// Supervises one job. AwaitOutcome, and for every unit whose attempt failed RetryElsewhere, Overflow or Refund; when the job has ended,
/// however it did, Settle and RecordEvidence. The order of the steps and nothing else: it must come out the same when it is run again over
/// what was recorded, so it reads no clock, no option and no table. A change in the order of calls goes behind
/// <see cref="IJobSagaContext.IsPatched"/>; recorded histories are replayed to see that it did.
/// </summary>
internal sealed class JobSaga(IJobSagaContext saga, JobSagaState state)
{
    // What one run hears and calls before it continues as new: it bounds the history, whatever the number of units.
    internal const int MostEntries = 50;

    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);
    private readonly Queue<SagaSignal> given = new(state.Signals);
    private readonly HashSet<string> heard = [];
    private int entries;

    public async Task RunAsync()
    {
        if ((state.Ending ?? await SuperviseAsync()) is { } ending)
        {
            await EndAsync(ending);
        }
    }

    /// <returns>The calls that end the saga; null when it continues as new.</returns>
    private async Task<IReadOnlyList<StepCall>?> SuperviseAsync()
    {
        // Whoever is told something at birth need not look whether there is still something to wait for.
        if (!state.Begun && given.Count == 0 && await BeginAsync() is { } over)
        {
            return over;
        }

        // Room for a signal and for the call that follows from it.
        while (entries <= MostEntries - 2)
        {
            var signal = await NextAsync();
            if (!heard.Add(signal.SignalId))
            {
                continue;
            }

            if (signal.Kind == SagaSignalKind.Ended)
            {
                return Closing();
            }

            if (signal is { Kind: SagaSignalKind.UnitFailed, Failure: { } failure } && await DecideAsync(failure) is { } ending)
            {
                return ending;
            }
        }

        saga.ContinueAsNew(new JobSagaState(state.JobId, [.. given], Begun: true), keepSignals: true);
        return null;
    }

    private async Task<IReadOnlyList<StepCall>?> BeginAsync()
    {
        var step = new StepCall(SagaStepName.AwaitOutcome, state.JobId);
        try
        {
            return await CallAsync(step) == StepOutcome.JobEnded ? Closing() : null;
        }
        catch (StepFailedException)
        {
            return Unwinding(step, "The platform could not supervise the job. Submit it again as a new job.");
        }
    }

    /// <returns>The calls that end the saga, or null when the unit goes on.</returns>
    private async Task<IReadOnlyList<StepCall>?> DecideAsync(UnitFailure failure)
    {
        var after = FailureRules.Decide(failure);
        if (after == AfterFailure.Refund)
        {
            return Refunding(failure, FailureRules.Cause(failure));
        }

        var step = new StepCall(after == AfterFailure.Overflow ? SagaStepName.Overflow : SagaStepName.RetryElsewhere, state.JobId, failure);
        try
        {
            return await CallAsync(step) == StepOutcome.NotAllowed ? Refunding(failure, FailureRules.Cause(failure)) : null;
        }
        catch (StepFailedException)
        {
            return Unwinding(step, FailureRules.CauseOfOurs(failure));
        }
    }

    /// <summary>Makes the calls that are left. Each is made until it succeeds: none is skipped, an operator is asked instead.</summary>
    private async Task EndAsync(IReadOnlyList<StepCall> calls)
    {
        var left = new Queue<StepCall>(calls);
        var parked = state.Parked;
        var waits = 0;
        while (left.TryPeek(out var call))
        {
            // Room for a call, for parking it and for a pause.
            if (entries > MostEntries - 3)
            {
                // An end that waits long is told of again and again, and would carry all that along.
                saga.ContinueAsNew(new JobSagaState(state.JobId, [], Begun: true, [.. left], parked), keepSignals: false);
                return;
            }

            if (parked)
            {
                parked = (await NextAsync()).Kind != SagaSignalKind.Resumed;
                continue;
            }

            try
            {
                if (await CallAsync(call) == StepOutcome.NotYet)
                {
                    await DelayAsync(waits++);
                }
                else
                {
                    left.Dequeue();
                }
            }
            catch (StepFailedException failed)
            {
                if (await ParkAsync(call, failed.Reason, waits++) is not { } isParked)
                {
                    return;
                }

                parked = isParked;
            }
        }
    }

    /// <returns>
    /// False when not even that could be written down: then the call is made again after a pause. Null when there is nothing to wait for: the last
    /// call had its effect, and only its answers were lost.
    /// </returns>
    private async Task<bool?> ParkAsync(StepCall call, string reason, int waits)
    {
        try
        {
            var park = new StepCall(SagaStepName.Park, state.JobId, Cause: $"{(call.Undo ? "undo " : "")}{call.Key}: {reason}");
            return await CallAsync(park) == StepOutcome.AlreadyDone ? null : true;
        }
        catch (StepFailedException)
        {
            await DelayAsync(waits);
            return false;
        }
    }

    private IReadOnlyList<StepCall> Unwinding(StepCall failed, string cause) => [failed with { Undo = true }, .. Refunding(failed.Failure, cause)];

    private IReadOnlyList<StepCall> Refunding(UnitFailure? failure, string cause) => [new(SagaStepName.Refund, state.JobId, failure, cause), .. Closing()];

    private IReadOnlyList<StepCall> Closing() => [new(SagaStepName.Settle, state.JobId), new(SagaStepName.RecordEvidence, state.JobId)];

    private Task<StepOutcome> CallAsync(StepCall call)
    {
        entries++;
        return saga.CallAsync(call);
    }

    private Task<SagaSignal> NextAsync()
    {
        entries++;
        return given.TryDequeue(out var signal) ? Task.FromResult(signal) : saga.NextSignalAsync();
    }

    private Task DelayAsync(int waits)
    {
        entries++;
        return saga.DelayAsync(TimeSpan.FromSeconds(Math.Min(LongestPause.TotalSeconds, Math.Pow(2, Math.Min(waits, 6)))));
    }
}
