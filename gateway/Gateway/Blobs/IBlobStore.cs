using System.Buffers;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Blobs;

/// <summary>
/// Sealed objects by owner and by the SHA-256 of their ciphertext. Immutable: a name never changes its content.
/// Nothing is visible under its name before it is whole, checked and durable.
/// Hashes are 64 lower-case hex characters; callers check them with <see cref="BlobHash.IsValid"/>.
/// </summary>
internal interface IBlobStore
{
    Task<bool> ExistsAsync(TenantId tenant, string sha256, CancellationToken cancellationToken);

    /// <summary>Reads <paramref name="content"/> to its end and keeps it if it is what it claims to be. Storing the same again changes nothing.</summary>
    Task<PutOutcome> PutAsync(TenantId tenant, string expectedSha256, Stream content, CancellationToken cancellationToken);

    /// <summary>
    /// Like <see cref="PutAsync"/> for a file that is already on this machine, readable and writable. The caller keeps it open, and
    /// whatever lock it holds by it; on <see cref="PutOutcome.Stored"/> and <see cref="PutOutcome.AlreadyThere"/> its name is gone.
    /// </summary>
    Task<PutOutcome> AdoptAsync(TenantId tenant, string expectedSha256, FileStream file, CancellationToken cancellationToken);

    /// <summary>Null when the tenant has no such blob, whoever else may have one.</summary>
    Task<BlobRead?> OpenReadAsync(TenantId tenant, string sha256, CancellationToken cancellationToken);
}

/// <summary>In the order of the checks.</summary>
internal enum PutOutcome
{
    AlreadyThere,
    NotSealed,
    TooLarge,
    HashMismatch,
    Stored,
}

/// <param name="Content">Can seek; at its start.</param>
internal sealed record BlobRead(Stream Content, long LengthBytes) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Content.DisposeAsync();
}

internal static class BlobHash
{
    private static readonly SearchValues<char> Hex = SearchValues.Create("0123456789abcdef");

    public const string Remedy = "A blob is named by the SHA-256 of its ciphertext as 64 lower-case hex characters.";

    public static bool IsValid(string? sha256) => sha256 is { Length: 64 } && !sha256.AsSpan().ContainsAnyExcept(Hex);

    /// <summary>The hash becomes a path: one that was not checked is a bug and must not get that far.</summary>
    public static void Require(string sha256)
    {
        if (!IsValid(sha256))
        {
            throw new ArgumentException(Remedy, nameof(sha256));
        }
    }
}
