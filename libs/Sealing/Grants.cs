using System.Security.Cryptography;

namespace RenderTrust.Sealing;

/// <summary>What a grant is tied to: it opens for this job, this manifest and this asset, and for nothing else.</summary>
/// <param name="JobId">The job, as the client made it.</param>
/// <param name="ManifestSha256">64 lower hex digits: SHA-256 of the sealed manifest's ciphertext.</param>
/// <param name="AssetId">The asset whose set key is wrapped.</param>
public sealed record GrantContext(Guid JobId, string ManifestSha256, Guid AssetId);

/// <summary>An asset's set key, wrapped for one recipient and one job. Public by itself: only the recipient can open it.</summary>
/// <param name="AssetId">The asset that the key opens.</param>
/// <param name="RecipientKeyId">Key id of the recipient's public key.</param>
/// <param name="EncapsulatedKey">65 bytes, the HPKE encapsulated key.</param>
/// <param name="WrappedKey">48 bytes, the sealed set key and its tag.</param>
public sealed record Grant(Guid AssetId, string RecipientKeyId, byte[] EncapsulatedKey, byte[] WrappedKey)
{
    public const int EncapsulatedKeyBytes = 65;
    public const int WrappedKeyBytes = 48;
}

/// <summary>Wraps and unwraps set keys with HPKE.</summary>
public static class Grants
{
    public static Grant Seal(SetKey key, RecipientPublicKey recipient, GrantContext context)
    {
        using var ephemeral = RecipientKeyPair.Generate();
        return Seal(key, recipient, context, ephemeral);
    }

    public static SetKey Open(Grant grant, RecipientKeyPair recipient, GrantContext context)
    {
        if (grant.AssetId != context.AssetId)
        {
            throw new SealingException(
                SealingError.WrongAsset, $"The grant is for asset {grant.AssetId}, but asset {context.AssetId} was to be opened.");
        }

        if (grant.RecipientKeyId != recipient.PublicKey.KeyId)
        {
            throw new SealingException(
                SealingError.NotARecipient,
                $"The grant is for key {grant.RecipientKeyId}, this is key {recipient.PublicKey.KeyId}. Ask the creator for a grant.");
        }

        if (grant.WrappedKey is not { Length: Grant.WrappedKeyBytes } || !P256.IsOnCurve(grant.EncapsulatedKey))
        {
            throw new SealingException(
                SealingError.GrantRefused,
                $"A grant has a 65-byte point on P-256 and {Grant.WrappedKeyBytes} wrapped bytes; the grant of asset {grant.AssetId} has not.");
        }

        try
        {
            var encapsulated = RecipientPublicKey.FromPoint(grant.EncapsulatedKey);
            using var hpke = Hpke.Aes256.SetupReceiver(encapsulated, recipient, Info(context, recipient.PublicKey));
            var bytes = hpke.Open([], grant.WrappedKey);
            var key = SetKey.FromBytes(bytes);
            CryptographicOperations.ZeroMemory(bytes);
            return key;
        }
        catch (AuthenticationTagMismatchException exception)
        {
            throw new SealingException(
                SealingError.GrantRefused,
                $"The grant of asset {grant.AssetId} does not open for job {context.JobId} and manifest {context.ManifestSha256}: "
                + "it was made for another job or manifest, or was changed on the way.",
                exception);
        }
    }

    /// <summary>With a given ephemeral key, for test vectors: an ephemeral key must never serve twice.</summary>
    internal static Grant Seal(SetKey key, RecipientPublicKey recipient, GrantContext context, RecipientKeyPair ephemeral)
    {
        using var hpke = Hpke.Aes256.SetupSender(recipient, ephemeral, Info(context, recipient));
        return new Grant(context.AssetId, recipient.KeyId, ephemeral.PublicKey.Point, hpke.Seal([], key.Bytes));
    }

    internal static byte[] Info(GrantContext context, RecipientPublicKey recipient)
    {
        if (context.ManifestSha256 is not { Length: 64 } || !context.ManifestSha256.All(char.IsAsciiHexDigitLower))
        {
            throw new SealingException(
                SealingError.GrantRefused, $"'{context.ManifestSha256}' is no manifest hash: expected 64 lower-case hex digits.");
        }

        return
        [
            .. "rendertrust/grant/v1\0"u8,
            .. context.JobId.ToByteArray(bigEndian: true),
            .. Convert.FromHexString(context.ManifestSha256),
            .. context.AssetId.ToByteArray(bigEndian: true),
            .. recipient.KeyIdRaw(),
        ];
    }
}
