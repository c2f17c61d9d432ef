using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.State;

/// <summary>A store behind its component's outbound policy. A refusal, such as an etag that does not fit, is an answer and no failure.</summary>
internal sealed class ResilientStateStore(IStateStore inner, ResiliencePolicy policy) : IStateStore
{
    public Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        policy.ExecuteAsync(token => inner.GetAsync(keys, token), cancellationToken);

    public Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken) =>
        policy.ExecuteAsync(token => inner.WriteAsync(write, token), cancellationToken);

    public Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        policy.ExecuteAsync(token => inner.TransactAsync(writes, token), cancellationToken);

    // Its owner ends the store itself.
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
