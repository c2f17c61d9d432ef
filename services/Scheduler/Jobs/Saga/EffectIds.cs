using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>One id for one effect, whoever repeats it: a version 8 UUID from the SHA-256 of its key.</summary>
internal static class EffectIds
{
    public static Guid Of(string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(key), hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
