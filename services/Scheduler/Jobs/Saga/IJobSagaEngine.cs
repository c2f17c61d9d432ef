using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>Sagas as those see them who start them and tell them things. The id of a saga is that of its job.</summary>
internal interface IJobSagaEngine
{
    /// <returns>False when there is one already: it has not got what <paramref name="state"/> carries.</returns>
    /// <exception cref="SagaEngineUnavailableException">The engine cannot be asked; whether the saga was started is not known.</exception>
    Task<bool> StartAsync(JobSagaState state, CancellationToken cancellationToken);

    /// <returns>False when the engine knows no such saga.</returns>
    /// <exception cref="SagaEngineUnavailableException">The engine cannot be asked; whether the saga heard is not known.</exception>
    Task<bool> RaiseAsync(JobId jobId, SagaSignal signal, CancellationToken cancellationToken);

    /// <summary>Forgets a saga that has nothing left to do. Forgetting one that is not known is fine.</summary>
    /// <exception cref="SagaEngineUnavailableException">The engine cannot be asked.</exception>
    Task ForgetAsync(JobId jobId, CancellationToken cancellationToken);
}

/// <summary>The durable engine is away: everything that was due stays due.</summary>
internal sealed class SagaEngineUnavailableException(string message, Exception inner) : Exception(message, inner);
