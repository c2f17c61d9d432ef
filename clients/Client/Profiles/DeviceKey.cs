using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Profiles;

/// <summary>A device's ES256 key: signs registrations, token assertions and DPoP proofs.</summary>
public sealed class DeviceKey : IDisposable
{
    private readonly ECDsa _key;

    private DeviceKey(ECDsa key)
    {
        _key = key;
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        var x = Base64Url.EncodeToString(point.X);
        var y = Base64Url.EncodeToString(point.Y);
        // RFC 7638: the members in this order, without blanks.
        Thumbprint = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{x}}","y":"{{y}}"}""")));
        PublicJwk = new EcPublicJwk("EC", "P-256", x, y);
    }

    public EcPublicJwk PublicJwk { get; }

    /// <summary>RFC 7638 thumbprint, as in a token's <c>cnf.jkt</c>.</summary>
    public string Thumbprint { get; }

    public static DeviceKey Generate() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256));

    public static DeviceKey FromPkcs8(ReadOnlySpan<byte> pkcs8)
    {
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(pkcs8, out _);
        return new DeviceKey(key);
    }

    public byte[] ExportPkcs8() => _key.ExportPkcs8PrivateKey();

    public void Dispose() => _key.Dispose();

    /// <summary>A compact JWS (RFC 7515) with ES256.</summary>
    internal string SignJwt(string type, JsonObject payload, bool withJwk)
    {
        var header = new JsonObject { ["typ"] = type, ["alg"] = "ES256" };
        if (withJwk)
        {
            header["jwk"] = new JsonObject { ["kty"] = PublicJwk.Kty, ["crv"] = PublicJwk.Crv, ["x"] = PublicJwk.X, ["y"] = PublicJwk.Y };
        }
        else
        {
            header["kid"] = Thumbprint;
        }

        var signed = $"{Encode(header)}.{Encode(payload)}";
        // The default signature form is r || s, which is what JWS wants.
        return $"{signed}.{Base64Url.EncodeToString(_key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}";
    }

    private static string Encode(JsonObject value) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(value.ToJsonString()));
}
