using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace RenderTrust.Sealing;

/// <summary>The public half of an encryption key: a P-256 point that is known to be on the curve.</summary>
public sealed record RecipientPublicKey
{
    /// <summary>Bytes of the SHA-256 of the point that make a key id.</summary>
    public const int KeyIdBytes = 16;

    private RecipientPublicKey(byte[] point)
    {
        Point = point;
        KeyId = Base64Url.EncodeToString(SHA256.HashData(point).AsSpan(0, KeyIdBytes));
    }

    /// <summary>65 bytes, SEC1 uncompressed: 0x04, x, y.</summary>
    public byte[] Point { get; }

    /// <summary>base64url(SHA-256(Point)[..16]), 22 characters.</summary>
    public string KeyId { get; }

    public static RecipientPublicKey FromPoint(ReadOnlySpan<byte> point) => P256.IsOnCurve(point)
        ? new RecipientPublicKey(point.ToArray())
        : throw new SealingException(
            SealingError.InvalidKey,
            $"A recipient key is a 65-byte uncompressed point on P-256 that starts with 04; these {point.Length} bytes are not.");

    /// <summary>The point in base64url without padding, 87 characters.</summary>
    public string Encode() => Base64Url.EncodeToString(Point);

    public static bool TryParse(string? text, [NotNullWhen(true)] out RecipientPublicKey? key)
    {
        key = null;
        Span<byte> point = stackalloc byte[P256.PointBytes];
        // 65 bytes are 86.67 base64 digits: the two spare bits of the last one must be zero, or one key would have four names.
        if (text is not { Length: 87 } || !Base64Url.TryDecodeFromChars(text, point, out var written) || written != point.Length
            || Base64Url.EncodeToString(point) != text || !P256.IsOnCurve(point))
        {
            return false;
        }

        key = new RecipientPublicKey(point.ToArray());
        return true;
    }

    public static RecipientPublicKey Parse(string text) => TryParse(text, out var key)
        ? key
        : throw new SealingException(
            SealingError.InvalidKey, $"'{text}' is no recipient key: expected 87 base64url characters of a point on P-256.");

    public bool Equals(RecipientPublicKey? other) => other is not null && Point.AsSpan().SequenceEqual(other.Point);

    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(KeyId);

    public override string ToString() => KeyId;

    internal byte[] KeyIdRaw() => Base64Url.DecodeFromChars(KeyId);

    internal ECDiffieHellman ToAgreement() => ECDiffieHellman.Create(new ECParameters
    {
        Curve = ECCurve.NamedCurves.nistP256,
        Q = new ECPoint { X = Point[1..33], Y = Point[33..65] },
    });
}

/// <summary>An encryption key pair of a device, a node or a cluster.</summary>
public sealed class RecipientKeyPair : IDisposable
{
    private readonly ECDiffieHellman _agreement;

    private RecipientKeyPair(ECDiffieHellman agreement)
    {
        _agreement = agreement;
        PublicKey = RecipientPublicKey.FromPoint(PointOf(agreement.ExportParameters(includePrivateParameters: false)));
    }

    public RecipientPublicKey PublicKey { get; }

    internal ECDiffieHellman Agreement => _agreement;

    public static RecipientKeyPair Generate() => new(ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256));

    public static RecipientKeyPair FromPkcs8(ReadOnlySpan<byte> pkcs8)
    {
        var agreement = ECDiffieHellman.Create();
        try
        {
            agreement.ImportPkcs8PrivateKey(pkcs8, out var read);
            var curve = agreement.ExportParameters(includePrivateParameters: false).Curve.Oid;
            if (read != pkcs8.Length || curve.Value is not "1.2.840.10045.3.1.7" && curve.FriendlyName is not ("nistP256" or "ECDSA_P256"))
            {
                throw new CryptographicException($"curve {curve.FriendlyName ?? curve.Value}, {pkcs8.Length - read} bytes left over");
            }

            return new RecipientKeyPair(agreement);
        }
        catch (CryptographicException exception)
        {
            agreement.Dispose();
            throw new SealingException(
                SealingError.InvalidKey, $"The private key is no PKCS#8 key on P-256: {exception.Message}.", exception);
        }
    }

    public byte[] ExportPkcs8() => _agreement.ExportPkcs8PrivateKey();

    public void Dispose() => _agreement.Dispose();

    /// <summary>For test vectors only: real pairs come from the system's generator.</summary>
    internal static RecipientKeyPair FromScalar(ReadOnlySpan<byte> scalar) => new(ECDiffieHellman.Create(new ECParameters
    {
        Curve = ECCurve.NamedCurves.nistP256,
        D = scalar.ToArray(),
    }));

    private static byte[] PointOf(ECParameters parameters) => [0x04, .. parameters.Q.X!, .. parameters.Q.Y!];
}
