using System.Security.Cryptography;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>Bytes that look sealed, as much as the gateway can tell, and their hash.</summary>
internal sealed record SealedBytes(byte[] Bytes, string Sha256)
{
    public static SealedBytes Random(int length)
    {
        var bytes = RandomNumberGenerator.GetBytes(length);
        "RTSEAL1\n"u8.CopyTo(bytes);
        return Of(bytes);
    }

    public static SealedBytes Of(byte[] bytes) => new(bytes, Convert.ToHexStringLower(SHA256.HashData(bytes)));

    public MemoryStream Open() => new(Bytes);
}
