using Dapr.Workflow;
using Grpc.Core;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>Binds the job saga to Dapr's workflows. Nothing outside this file knows them.</summary>
internal sealed class JobSagaEngine(DaprWorkflowClient client) : IJobSagaEngine
{
    internal const string SagaName = "JobSaga";
    private const string SignalName = "signal";

    // Every step takes a connection to the database, and results and leases need theirs.
    private const int StepsSideBySide = 8;

    // What takes longer has an unknown outcome and is repeated.
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    // About a minute and a half. Constant: timers are part of the history, and another rhythm would not replay.
    private static readonly WorkflowTaskOptions Patiently = new(new WorkflowRetryPolicy(8, TimeSpan.FromSeconds(1), 2, TimeSpan.FromSeconds(30)));

    public static void AddTo(IServiceCollection services)
    {
        services
            .AddDaprWorkflowBuilder(options =>
            {
                options.MaxConcurrentActivities = StepsSideBySide;
                options.RegisterWorkflow<SagaWorkflow>(SagaName);
                foreach (var step in Enum.GetValues<SagaStepName>())
                {
                    options.RegisterActivity<StepActivity>(ActivityName(step, undo: false));
                    options.RegisterActivity<StepActivity>(ActivityName(step, undo: true));
                }
            })
            .WithJsonSerializer(WireJson.Options);
        services.AddSingleton<IJobSagaEngine, JobSagaEngine>();
    }

    public async Task<bool> StartAsync(JobSagaState state, CancellationToken cancellationToken)
    {
        try
        {
            await AskAsync(token => client.ScheduleNewWorkflowAsync(SagaName, state.JobId.ToString(), state, (DateTimeOffset?)null, token), cancellationToken);
            return true;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.AlreadyExists)
        {
            return false;
        }
    }

    public async Task<bool> RaiseAsync(JobId jobId, SagaSignal signal, CancellationToken cancellationToken)
    {
        try
        {
            await AskAsync(token => client.RaiseEventAsync(jobId.ToString(), SignalName, signal, token), cancellationToken);
            return true;
        }
        catch (RpcException exception) when (IsUnknownInstance(exception))
        {
            return false;
        }
    }

    public async Task ForgetAsync(JobId jobId, CancellationToken cancellationToken)
    {
        try
        {
            await AskAsync(token => client.PurgeInstanceAsync(jobId.ToString(), token), cancellationToken);
        }
        catch (RpcException exception) when (IsUnknownInstance(exception))
        {
            // It was forgotten before.
        }
        catch (RpcException exception) when (exception.Status.Detail.Contains("not yet completed", StringComparison.Ordinal))
        {
            // Everything it had to do was done long ago; only its last turn is missing.
            await AskAsync(token => client.TerminateWorkflowAsync(jobId.ToString(), null, token), cancellationToken);
            await AskAsync(token => client.PurgeInstanceAsync(jobId.ToString(), token), cancellationToken);
        }
    }

    private static async Task AskAsync(Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CallTimeout);
        try
        {
            await call(limit.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded or StatusCode.Cancelled })
        {
            throw new SagaEngineUnavailableException(
                $"The sidecar could not be reached for the workflow engine, or did not answer within {CallTimeout.TotalSeconds:0} s. Check that it runs and has a component with actorStateStore.", exception);
        }
    }

    // Dapr says this with status UNKNOWN, so the words have to tell.
    private static bool IsUnknownInstance(RpcException exception) =>
        exception.StatusCode == StatusCode.NotFound || exception.Status.Detail.Contains("no such instance", StringComparison.Ordinal);

    private static string ActivityName(SagaStepName step, bool undo) => undo ? $"Undo{step}" : $"{step}";

    private sealed class SagaWorkflow : Workflow<JobSagaState, bool>
    {
        public override async Task<bool> RunAsync(WorkflowContext context, JobSagaState input)
        {
            await new JobSaga(new Context(context), input).RunAsync();
            return true;
        }
    }

    internal sealed class Context(WorkflowContext context) : IJobSagaContext
    {
        public async Task<StepOutcome> CallAsync(StepCall call)
        {
            try
            {
                return await context.CallActivityAsync<StepOutcome>(ActivityName(call.Step, call.Undo), call, Patiently);
            }
            catch (WorkflowTaskFailedException exception)
            {
                throw new StepFailedException(call, exception.FailureDetails.ErrorMessage);
            }
        }

        public Task<SagaSignal> NextSignalAsync() => context.WaitForExternalEventAsync<SagaSignal>(SignalName);

        public Task DelayAsync(TimeSpan delay) => context.CreateTimer(delay);

        public bool IsPatched(string patch) => context.IsPatched(patch);

        public void ContinueAsNew(JobSagaState state, bool keepSignals) => context.ContinueAsNew(state, keepSignals);
    }

    private sealed class StepActivity(SagaSteps steps) : WorkflowActivity<StepCall, StepOutcome>
    {
        // An activity has no token of its own. Steps are short transactions and are better finished than left in doubt.
        public override Task<StepOutcome> RunAsync(WorkflowActivityContext context, StepCall input) => steps.CallAsync(input, CancellationToken.None);
    }
}
