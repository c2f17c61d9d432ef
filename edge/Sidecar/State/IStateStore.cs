namespace RenderTrust.Sidecar.State;

internal enum StateOutcome
{
    Done = 0,

    /// <summary>The etag cannot be one of this store's.</summary>
    EtagInvalid = 1,

    /// <summary>Someone else wrote in between, or the key is gone.</summary>
    EtagMismatch = 2,

    /// <summary>First-write without an etag, and the key already exists.</summary>
    AlreadyExists = 3,
}

internal sealed record StateEntry(ReadOnlyMemory<byte> Value, string Etag, DateTimeOffset? ExpiresAt);

/// <summary>One write. <paramref name="Key"/> is the full key as stored; a null value deletes.</summary>
internal sealed record StateWrite(string Key, ReadOnlyMemory<byte>? Value, string? Etag = null, bool FirstWrite = false, TimeSpan? Ttl = null);

internal interface IStateStore : IAsyncDisposable
{
    /// <summary>Answers in the order of the keys; null where a key is absent or expired.</summary>
    Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken);

    Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken);

    /// <summary>All or nothing, in order. The first refusal undoes the rest.</summary>
    Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken);
}
