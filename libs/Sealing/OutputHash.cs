using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Sealing;

/// <summary>
/// The hash of an output that the platform may see. It is keyed with a key from the sealed manifest, so that the platform
/// can compare two nodes' results but cannot test guesses of what a frame shows.
/// </summary>
public static class OutputHash
{
    public const int KeyBytes = 32;

    private const int BufferBytes = 65_536;

    /// <summary>Lower hex of HMAC-SHA256(key, "rendertrust/output/v1" 00 path 00 content).</summary>
    public static string Compute(byte[] key, string path, Stream plaintext)
    {
        using var hmac = Start(key, path);
        var buffer = new byte[BufferBytes];
        for (int read; (read = plaintext.Read(buffer)) > 0;)
        {
            hmac.AppendData(buffer, 0, read);
        }

        return Convert.ToHexStringLower(hmac.GetHashAndReset());
    }

    public static async Task<string> ComputeAsync(byte[] key, string path, Stream plaintext, CancellationToken cancellationToken)
    {
        using var hmac = Start(key, path);
        var buffer = new byte[BufferBytes];
        for (int read; (read = await plaintext.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            hmac.AppendData(buffer, 0, read);
        }

        return Convert.ToHexStringLower(hmac.GetHashAndReset());
    }

    public static string Compute(byte[] key, string path, ReadOnlySpan<byte> plaintext)
    {
        using var hmac = Start(key, path);
        hmac.AppendData(plaintext);
        return Convert.ToHexStringLower(hmac.GetHashAndReset());
    }

    private static IncrementalHash Start(byte[] key, string path)
    {
        if (key.Length != KeyBytes)
        {
            throw new SealingException(SealingError.InvalidKey, $"An output hash key has {KeyBytes} bytes, this one has {key.Length}.");
        }

        AssetPath.Check(path, AssetLimits.Default.MaxPathBytes);
        var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hmac.AppendData("rendertrust/output/v1\0"u8);
        hmac.AppendData(Encoding.UTF8.GetBytes(path));
        hmac.AppendData("\0"u8);
        return hmac;
    }
}
