namespace RenderTrust.Sealing;

/// <summary>Why sealed data was refused, in the order in which an opener can notice it.</summary>
public enum SealingError
{
    /// <summary>The bytes do not start like a sealed asset: somebody handed over plaintext or another format.</summary>
    NotSealed,

    /// <summary>The container names a version or suite that this build does not read.</summary>
    UnsupportedVersion,

    /// <summary>The container is sealed, but it is another asset than the one asked for.</summary>
    WrongAsset,

    /// <summary>The set key is not the one that sealed this asset.</summary>
    WrongKey,

    /// <summary>The bytes were changed, reordered or mixed with another asset's.</summary>
    Corrupted,

    /// <summary>The container ends before it should.</summary>
    Truncated,

    /// <summary>The container goes on after it should have ended.</summary>
    TrailingData,

    /// <summary>The index is authentic but breaks the format: its maker is faulty or hostile.</summary>
    MalformedIndex,

    /// <summary>A path could leave its folder or means different files on different systems.</summary>
    UnsafePath,

    /// <summary>Two paths are the same, differ only in ASCII case, or one is a folder of the other.</summary>
    DuplicatePath,

    /// <summary>A count or size is over a limit.</summary>
    LimitExceeded,

    /// <summary>A file's content changed between measuring and sealing it.</summary>
    SourceChanged,

    /// <summary>The grant is for another key than the one at hand.</summary>
    NotARecipient,

    /// <summary>The grant does not open: it was made for another job, manifest, asset or key, or was changed.</summary>
    GrantRefused,

    /// <summary>A key has the wrong length, is not on the curve, or is no key at all.</summary>
    InvalidKey,

    /// <summary>The job manifest is not what the format allows.</summary>
    InvalidManifest,

    /// <summary>The key file is damaged, of another purpose, or readable by others.</summary>
    InvalidKeyFile,

    /// <summary>The passphrase does not open the key file.</summary>
    WrongPassphrase,
}

/// <summary>Sealed data, a key or a grant was refused. <see cref="Error"/> is for code, the message for people.</summary>
public sealed class SealingException(SealingError error, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    public SealingError Error { get; } = error;
}
