using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Identity;

/// <summary>Secrets that are shown once: 32 random bytes, looked up by their SHA-256, which needs no salt at that entropy.</summary>
internal static class Secrets
{
    public const string ApiKeyPrefix = "rtk_";
    public const string NodeTokenPrefix = "rtn_";
    public const string SessionPrefix = "rts_";

    public static string New(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static bool LooksLike(string prefix, string text) =>
        text.Length == prefix.Length + 43 && text.StartsWith(prefix, StringComparison.Ordinal) && Base64Url.IsValid(text.AsSpan(prefix.Length));

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
