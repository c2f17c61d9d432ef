using System.Security.Cryptography;

namespace RenderTrust.Sealing;

/// <summary>The 32 secret bytes that seal one asset. Whoever holds them can open it, so they travel only inside a <see cref="Grant"/>.</summary>
public sealed class SetKey : IDisposable
{
    public const int SizeBytes = 32;

    private readonly byte[] _bytes;
    private bool _disposed;

    private SetKey(byte[] bytes) => _bytes = bytes;

    public ReadOnlySpan<byte> Bytes
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _bytes;
        }
    }

    public static SetKey Generate() => new(RandomNumberGenerator.GetBytes(SizeBytes));

    public static SetKey FromBytes(ReadOnlySpan<byte> key32) => key32.Length == SizeBytes
        ? new SetKey(key32.ToArray())
        : throw new SealingException(SealingError.InvalidKey, $"A set key has {SizeBytes} bytes, this one has {key32.Length}.");

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_bytes);
        _disposed = true;
    }
}
