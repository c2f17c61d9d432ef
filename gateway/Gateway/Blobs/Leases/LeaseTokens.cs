using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Blobs;

/// <summary>Why a lease token was refused, in the order of the checks.</summary>
internal enum LeaseTokenFault
{
    None,
    Malformed,
    UnknownKey,
    WrongSignature,
    Expired,
}

/// <summary>
/// What lets a node read the blobs of the unit that it was leased and write that unit's outputs, and nothing else: a compact JWS
/// (HS256 and no other) over <see cref="LeaseBlobClaims"/>. Only gateways make and check it, hence one shared secret.
/// </summary>
internal sealed class LeaseTokens(LeaseTokenKeys keys, TimeProvider time)
{
    private const int MaxTokenChars = 64 * 1024;
    private const string Algorithm = "HS256";
    private const string Type = "rt-lease+jwt";

    public string Issue(LeaseBlobClaims claims)
    {
        var key = keys.Signing();
        var header = JsonSerializer.SerializeToUtf8Bytes(new Header(Algorithm, Type, key.KeyId), WireJson.Options);
        var signed = $"{Base64Url.EncodeToString(header)}.{Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(claims, WireJson.Options))}";
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(key.Secret, Encoding.ASCII.GetBytes(signed)))}";
    }

    /// <summary>The claims of a good token; null otherwise.</summary>
    public LeaseBlobClaims? Verify(string token) => Verify(token, out _);

    public LeaseBlobClaims? Verify(string token, out LeaseTokenFault fault)
    {
        var parts = token.Length <= MaxTokenChars ? token.Split('.') : [];
        if (parts.Length != 3 || Read<Header>(parts[0]) is not { Alg: Algorithm, Typ: Type } header || Decode(parts[2]) is not { } signature)
        {
            fault = LeaseTokenFault.Malformed;
            return null;
        }

        if (keys.Find(header.Kid) is not { } key)
        {
            fault = LeaseTokenFault.UnknownKey;
            return null;
        }

        // Nothing of the claims is looked at before the signature holds.
        var expected = HMACSHA256.HashData(key.Secret, Encoding.ASCII.GetBytes(token[..token.LastIndexOf('.')]));
        if (!CryptographicOperations.FixedTimeEquals(expected, signature))
        {
            fault = LeaseTokenFault.WrongSignature;
            return null;
        }

        if (Read<LeaseBlobClaims>(parts[1]) is not { } claims)
        {
            fault = LeaseTokenFault.Malformed;
            return null;
        }

        fault = claims.ExpiresAt > time.GetUtcNow() ? LeaseTokenFault.None : LeaseTokenFault.Expired;
        return fault == LeaseTokenFault.None ? claims : null;
    }

    private static byte[]? Decode(string text)
    {
        try
        {
            return Base64Url.DecodeFromChars(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static T? Read<T>(string part)
        where T : class
    {
        try
        {
            return Decode(part) is { } bytes ? JsonSerializer.Deserialize<T>(bytes, WireJson.Options) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed record Header(string Alg, string Typ, string Kid);
}
