using System.Security.Cryptography;

namespace RenderTrust.Sealing;

/// <summary>
/// Hands a creator's encryption key to a browser that came by a sign-in link (docs/formats/sealing.md, section 7). The link's secret never leaves the two ends;
/// it proves which browser holds it, and opens nothing by itself: the key is sealed for a key pair that the browser made for this one occasion.
/// </summary>
public static class KeyHandOver
{
    public const int SecretBytes = 32;
    public const int ProofBytes = 32;

    /// <summary>What the browser shows to the platform: one way from the secret, so that whoever sees it cannot prove anything.</summary>
    public static byte[] Code(ReadOnlySpan<byte> secret) => Derive(secret, "rendertrust/sign-in/v1/code"u8);

    /// <summary>What the browser proves its key with: only who holds the link can make it.</summary>
    public static byte[] Proof(ReadOnlySpan<byte> secret, RecipientPublicKey browser)
    {
        var key = Derive(secret, "rendertrust/sign-in/v1/proof"u8);
        return HMACSHA256.HashData(key, browser.Point);
    }

    public static bool IsProven(ReadOnlySpan<byte> secret, RecipientPublicKey browser, ReadOnlySpan<byte> proof) =>
        CryptographicOperations.FixedTimeEquals(Proof(secret, browser), proof);

    /// <returns>65 bytes of encapsulated key, then the sealed public point and PKCS#8 private key.</returns>
    public static byte[] Seal(RecipientKeyPair key, RecipientPublicKey browser, Guid signInId)
    {
        using var ephemeral = RecipientKeyPair.Generate();
        return Seal(key, browser, signInId, ephemeral);
    }

    public static RecipientKeyPair Open(ReadOnlySpan<byte> handedOver, RecipientKeyPair browser, Guid signInId)
    {
        if (handedOver.Length <= P256.PointBytes + P256.PointBytes + 16 || !P256.IsOnCurve(handedOver[..P256.PointBytes]))
        {
            throw new SealingException(SealingError.InvalidKey, $"A handed-over key begins with a 65-byte point on P-256; these {handedOver.Length} bytes do not.");
        }

        try
        {
            using var hpke = Hpke.Aes256.SetupReceiver(RecipientPublicKey.FromPoint(handedOver[..P256.PointBytes]), browser, Info(signInId, browser.PublicKey));
            var plain = hpke.Open([], handedOver[P256.PointBytes..]);
            var pair = RecipientKeyPair.FromPkcs8(plain.AsSpan(P256.PointBytes));
            CryptographicOperations.ZeroMemory(plain);
            return pair;
        }
        catch (AuthenticationTagMismatchException exception)
        {
            throw new SealingException(SealingError.GrantRefused, $"The key handed over for sign-in {signInId} does not open: it was made for another sign-in or key, or was changed.", exception);
        }
    }

    /// <summary>With a given ephemeral key, for test vectors: an ephemeral key must never serve twice.</summary>
    internal static byte[] Seal(RecipientKeyPair key, RecipientPublicKey browser, Guid signInId, RecipientKeyPair ephemeral)
    {
        var pkcs8 = key.ExportPkcs8();
        byte[] plain = [.. key.PublicKey.Point, .. pkcs8];
        try
        {
            using var hpke = Hpke.Aes256.SetupSender(browser, ephemeral, Info(signInId, browser));
            return [.. ephemeral.PublicKey.Point, .. hpke.Seal([], plain)];
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
            CryptographicOperations.ZeroMemory(plain);
        }
    }

    private static byte[] Info(Guid signInId, RecipientPublicKey browser) =>
        [.. "rendertrust/key-hand-over/v1\0"u8, .. signInId.ToByteArray(bigEndian: true), .. browser.KeyIdRaw()];

    private static byte[] Derive(ReadOnlySpan<byte> secret, ReadOnlySpan<byte> info)
    {
        if (secret.Length != SecretBytes)
        {
            throw new SealingException(SealingError.InvalidKey, $"The secret of a sign-in link has {SecretBytes} bytes; this one has {secret.Length}.");
        }

        var key = new byte[32];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key, salt: [], info);
        return key;
    }
}
