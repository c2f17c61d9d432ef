using RenderTrust.Agent.Scratch;
using RenderTrust.Sealing;

namespace RenderTrust.Agent.Enrollment;

/// <summary>The public half of a pool's key, as <c>pool-key</c> prints it.</summary>
/// <param name="Key">Base64url of the 65-byte P-256 point.</param>
internal sealed record PoolPublicKey(string KeyId, string Key);

/// <summary>The key that all agents of an overflow pool share. Made here and not by the platform's services: they only learn its public half.</summary>
internal static class PoolKey
{
    public static PoolPublicKey OpenOrMake(string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!, Modes.Private);
        if (!File.Exists(file))
        {
            using var fresh = RecipientKeyPair.Generate();
            try
            {
                KeyFile.Write(file, KeyPurpose.Encryption, fresh.ExportPkcs8());
            }
            catch (IOException) when (File.Exists(file))
            {
                // Another starter was quicker; its key is the pool's.
            }
        }

        using var key = RecipientKeyPair.FromPkcs8(KeyFile.Read(file, KeyPurpose.Encryption));
        return new PoolPublicKey(key.PublicKey.KeyId, key.PublicKey.Encode());
    }
}
