using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.Client;
using RenderTrust.Client.Profiles;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>Tokens and proofs made by hand, so that any claim in them can be wrong.</summary>
internal static class Jws
{
    public static string Sign(ECDsa key, JsonObject header, JsonObject payload)
    {
        header["alg"] = "ES256";
        var signed = $"{Encode(header)}.{Encode(payload)}";
        return $"{signed}.{Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}";
    }

    public static JsonObject Jwk(ECDsa key)
    {
        var point = key.ExportParameters(false).Q;
        return new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(point.X), ["y"] = Base64Url.EncodeToString(point.Y) };
    }

    /// <summary>RFC 7638.</summary>
    public static string Thumbprint(ECDsa key)
    {
        var jwk = Jwk(key);
        return Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{jwk["x"]}}","y":"{{jwk["y"]}}"}""")));
    }

    public static ECDsa KeyOf(CreatorProfile profile)
    {
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(profile.DeviceKey.ExportPkcs8(), out _);
        return key;
    }

    /// <summary>A DPoP proof (RFC 9449).</summary>
    public static string Proof(ECDsa key, string method, Uri address, string? token, DateTimeOffset at) => Sign(
        key,
        new JsonObject { ["typ"] = "dpop+jwt", ["jwk"] = Jwk(key) },
        new JsonObject
        {
            ["jti"] = Guid.NewGuid().ToString(), ["htm"] = method, ["htu"] = address.ToString(), ["iat"] = at.ToUnixTimeSeconds(),
            ["ath"] = token is null ? null : Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(token))),
        });

    /// <summary>A token assertion (RFC 7523).</summary>
    public static string Assertion(RenderTrustClient client, ECDsa key, DateTimeOffset issued) => Sign(
        key,
        new JsonObject { ["typ"] = "JWT", ["kid"] = Thumbprint(key) },
        new JsonObject
        {
            ["iss"] = client.Profile.Facts.DeviceId.ToString(), ["sub"] = client.Profile.Facts.DeviceId.ToString(), ["aud"] = "rendertrust:token",
            ["jti"] = Guid.NewGuid().ToString(), ["iat"] = issued.ToUnixTimeSeconds(), ["exp"] = issued.AddMinutes(4).ToUnixTimeSeconds(),
        });

    private static string Encode(JsonObject value)
    {
        foreach (var name in value.Where(member => member.Value is null).Select(member => member.Key).ToList())
        {
            value.Remove(name);
        }

        return Base64Url.EncodeToString(Encoding.UTF8.GetBytes(value.ToJsonString()));
    }
}
