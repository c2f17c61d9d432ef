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
internal sealed record StateWrite(string Key, ReadOnlyMemory<byte>? Value, string? Etag = null, bool FirstWrite = false, TimeSpan? Ttl = null)
{
    /// <summary>The caller named last-write, and did not only leave it to the default. Redis then looks at no etag.</summary>
    public bool LastWrite { get; init; }

    /// <summary>The caller asked for no expiry (ttlInSeconds 0 or -1), against a store's default or an earlier one.</summary>
    public bool NeverExpires { get; init; }

    /// <summary>The value is valid JSON and may be kept as such, where a store's layout tells JSON from bytes.</summary>
    public bool IsJson { get; init; }
}

internal interface IStateStore : IAsyncDisposable
{
    /// <summary>Answers in the order of the keys; null where a key is absent or expired.</summary>
    Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken);

    Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken);

    /// <summary>All or nothing, in order. The first refusal undoes the rest.</summary>
    Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken);
}
