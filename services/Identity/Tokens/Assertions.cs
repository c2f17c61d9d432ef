using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>A JWT signed by a device's key, as far as it was checked.</summary>
internal sealed record DeviceAssertion(JsonWebToken Jwt, string ProofId, DateTimeOffset ExpiresAt);

/// <summary>Checks what devices sign: registration proofs and token assertions.</summary>
internal static class Assertions
{
    public const string TokenAudience = "rendertrust:token";
    public const string RegistrationAudience = "rendertrust:registration";

    private const int MaxCharacters = 4096;
    private static readonly TimeSpan MaxLife = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(60);
    private static readonly JsonWebTokenHandler Handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = MaxCharacters };

    /// <summary>Without checking the signature: only to learn whose it claims to be.</summary>
    public static JsonWebToken? Read(string text)
    {
        if (text.Length is 0 or > MaxCharacters || !Handler.CanReadToken(text))
        {
            return null;
        }

        try
        {
            var jwt = Handler.ReadJsonWebToken(text);
            return jwt.Alg == SecurityAlgorithms.EcdsaSha256 ? jwt : null;
        }
        catch (Exception exception) when (exception is ArgumentException or SecurityTokenException or JsonException or FormatException)
        {
            // The library throws for what looks like a JWT and is none.
            return null;
        }
    }

    /// <summary>The assertion, or the reason why it is refused.</summary>
    public static async Task<(DeviceAssertion? Assertion, string Explanation)> VerifyAsync(JsonWebToken jwt, EcPublicJwk deviceKey, string audience, DateTimeOffset now)
    {
        if (!EcKeys.TryImport(deviceKey, out var key))
        {
            return (null, "The device key is not a point of P-256.");
        }

        using (key)
        {
            var result = await Handler.ValidateTokenAsync(jwt, new TokenValidationParameters
            {
                IssuerSigningKey = new ECDsaSecurityKey(key) { CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false } },
                ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256],
                // A registration has no issuer yet; for a token the caller has found the key by it.
                IssuerValidator = static (issuer, _, _) => issuer ?? "",
                ValidAudience = audience,
                RequireExpirationTime = true,
                // The library's own check reads the machine's clock; ours follows below.
                LifetimeValidator = static (_, expires, _, _) => expires is not null,
            });
            if (!result.IsValid)
            {
                return (null, result.Exception is SecurityTokenInvalidAudienceException
                    ? $"The assertion's aud must be '{audience}'."
                    : "The assertion's signature does not fit the device key.");
            }
        }

        if (!TryTime(jwt, "iat", out var issuedAt) || !TryTime(jwt, "exp", out var expiresAt) || jwt.Id is not { Length: > 0 and <= 128 })
        {
            return (null, "The assertion must carry jti (at most 128 characters), iat and exp (Unix seconds).");
        }

        if (expiresAt - issuedAt > MaxLife || expiresAt <= issuedAt)
        {
            return (null, $"The assertion is good for {(expiresAt - issuedAt).TotalSeconds:0} s; between 1 and {MaxLife.TotalSeconds:0} are allowed.");
        }

        if (now > expiresAt + ClockSkew || now < issuedAt - ClockSkew)
        {
            return (null, $"The assertion is good from {issuedAt:u} to {expiresAt:u}; it is {now:u}. Make a new one and check the clock.");
        }

        return (new DeviceAssertion(jwt, jwt.Id, expiresAt + ClockSkew), "");
    }

    private static bool TryTime(JsonWebToken jwt, string name, out DateTimeOffset time)
    {
        time = default;
        if (!jwt.TryGetPayloadValue<long>(name, out var seconds) || seconds is < 0 or > 253_402_300_799)
        {
            return false;
        }

        time = DateTimeOffset.FromUnixTimeSeconds(seconds);
        return true;
    }
}
