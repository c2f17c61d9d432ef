using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>P-256 public keys as they travel: JWKs of signing keys, raw points of encryption keys.</summary>
public static class EcKeys
{
    private const int CoordinateBytes = 32;

    /// <summary>False unless it is a valid point of P-256.</summary>
    public static bool TryImport(EcPublicJwk jwk, [NotNullWhen(true)] out ECDsa? key)
    {
        ArgumentNullException.ThrowIfNull(jwk);
        key = null;
        return jwk is { Kty: "EC", Crv: "P-256" }
            && TryDecode(jwk.X, CoordinateBytes, out var x)
            && TryDecode(jwk.Y, CoordinateBytes, out var y)
            && TryImport(x, y, out key);
    }

    /// <summary>RFC 7638 thumbprint with SHA-256, base64url: the <c>jkt</c> of RFC 9449.</summary>
    public static string Thumbprint(EcPublicJwk jwk)
    {
        ArgumentNullException.ThrowIfNull(jwk);
        return Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{jwk.X}}","y":"{{jwk.Y}}"}""")));
    }

    /// <summary>The JWK of a key's public half.</summary>
    public static EcPublicJwk ToJwk(ECDsa key)
    {
        ArgumentNullException.ThrowIfNull(key);
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        return new EcPublicJwk("EC", "P-256", Base64Url.EncodeToString(point.X), Base64Url.EncodeToString(point.Y));
    }

    /// <summary>Reads the base64url of an uncompressed 65-byte point and checks that it is on the curve.</summary>
    public static bool TryReadPoint(string text, [NotNullWhen(true)] out byte[]? point)
    {
        point = null;
        if (!TryDecode(text, 1 + (2 * CoordinateBytes), out var bytes) || bytes[0] != 4 || !TryImport(bytes[1..33], bytes[33..], out var key))
        {
            return false;
        }

        key.Dispose();
        point = bytes;
        return true;
    }

    /// <summary>Key id of an encryption key: base64url of the first 16 bytes of the SHA-256 of its point (the same rule as in libs/Sealing).</summary>
    public static string KeyId(byte[] point) => Base64Url.EncodeToString(SHA256.HashData(point).AsSpan(0, 16));

    internal static bool TryDecode(string? text, int length, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = null;
        if (text is null || text.Length != Base64Url.GetEncodedLength(length) || !Base64Url.IsValid(text))
        {
            return false;
        }

        bytes = Base64Url.DecodeFromChars(text);
        // The last character has spare bits: only the canonical spelling passes, so that a key has one thumbprint.
        return bytes.Length == length && Base64Url.EncodeToString(bytes) == text;
    }

    private static bool TryImport(byte[] x, byte[] y, [NotNullWhen(true)] out ECDsa? key)
    {
        try
        {
            key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = x, Y = y } });
            return true;
        }
        catch (CryptographicException)
        {
            // The platform's way to say that the point is not on the curve.
            key = null;
            return false;
        }
    }
}
