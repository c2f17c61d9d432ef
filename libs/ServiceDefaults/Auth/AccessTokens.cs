using System.Security.Claims;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>Outcome of looking at an access token, in the order of the checks.</summary>
public enum AccessTokenOutcome
{
    Malformed,
    UnknownKey,
    Invalid,
    Expired,
    Revoked,
    Valid,
}

/// <param name="Principal">Set only when valid.</param>
/// <param name="ConfirmationThumbprint"><c>cnf.jkt</c>: whoever presents the token at the edge must prove that key.</param>
/// <param name="Explanation">In words for the caller.</param>
public sealed record AccessTokenResult(AccessTokenOutcome Outcome, ClaimsPrincipal? Principal, string? ConfirmationThumbprint, string Explanation);

/// <summary>Facts that an access token carries.</summary>
/// <param name="SubjectKind"><c>device</c> or <c>apiKey</c>.</param>
public sealed record AccessTokenContent(
    Guid Subject, string SubjectKind, TenantId Tenant, IReadOnlyList<string> Scopes, string? ConfirmationThumbprint, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt);

/// <summary>Checks access tokens: ES256 by identity, issuer, audience, time, revocation. The gateway adds the proof of possession.</summary>
public sealed class AccessTokens
{
    /// <summary>Services share a data centre's clock; a minute covers a bad one.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(60);

    private static readonly JsonWebTokenHandler Handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = 16 * 1024 };

    /// <summary>For how long a good signature is believed without looking again. Time, key and revocation are looked at each time.</summary>
    private static readonly TimeSpan BelievedFor = TimeSpan.FromMinutes(10);

    private readonly SecretCache<SignedToken> signed;
    private readonly SigningKeys keys;
    private readonly Revocations revocations;
    private readonly TimeProvider time;

    internal AccessTokens(SigningKeys keys, Revocations revocations, TimeProvider time)
    {
        this.keys = keys;
        this.revocations = revocations;
        this.time = time;
        signed = new SecretCache<SignedToken>(time);
    }

    /// <summary>Signs a token; identity's part, and that of tests.</summary>
    public static string Create(SecurityKey signingKey, AccessTokenContent content)
    {
        ArgumentNullException.ThrowIfNull(content);
        var claims = new Dictionary<string, object>
        {
            ["sub"] = content.Subject.ToString("D"),
            ["jti"] = Guid.CreateVersion7().ToString("D"),
            [TokenClaims.SubjectKind] = content.SubjectKind,
            [TokenClaims.Tenant] = content.Tenant.ToString(),
            [TokenClaims.Scope] = string.Join(' ', content.Scopes),
        };
        if (content.ConfirmationThumbprint is not null)
        {
            claims[TokenClaims.Confirmation] = new Dictionary<string, object> { ["jkt"] = content.ConfirmationThumbprint };
        }

        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            TokenType = "at+jwt",
            Issuer = WellKnown.TokenIssuer,
            Audience = WellKnown.TokenIssuer,
            IssuedAt = content.IssuedAt.UtcDateTime,
            NotBefore = content.IssuedAt.UtcDateTime,
            Expires = content.ExpiresAt.UtcDateTime,
            Claims = claims,
            SigningCredentials = new SigningCredentials(signingKey, SecurityAlgorithms.EcdsaSha256),
        });
    }

    public async ValueTask<AccessTokenResult> ValidateAsync(string token, CancellationToken cancellationToken)
    {
        // A caller shows the same token many times, and its signature is by far the dearest thing about it.
        if (signed.TryGet(token, out var known) && ReferenceEquals(known.Key, await keys.FindAsync(known.KeyId, cancellationToken)))
        {
            return await JudgeAsync(known, cancellationToken);
        }

        if (!TryRead(token, out var jwt))
        {
            return Refused(AccessTokenOutcome.Malformed, "The access token is not a JWT of this platform. Get one from /v1/identity/token.");
        }

        var key = await keys.FindAsync(jwt.Kid, cancellationToken);
        if (key is null)
        {
            return Refused(AccessTokenOutcome.UnknownKey, $"The access token is signed with key '{Shorten(jwt.Kid)}', which identity does not have. Get a new token.");
        }

        var result = await Handler.ValidateTokenAsync(jwt, new TokenValidationParameters
        {
            ValidIssuer = WellKnown.TokenIssuer,
            ValidAudience = WellKnown.TokenIssuer,
            ValidTypes = ["at+jwt"],
            ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256],
            IssuerSigningKey = key,
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            AuthenticationType = AuthSchemes.Bearer,
            NameClaimType = "sub",
            // The library's own check reads the machine's clock; ours is the injected one.
            LifetimeValidator = static (_, expires, _, _) => expires is not null,
        });
        if (!result.IsValid)
        {
            return Refused(AccessTokenOutcome.Invalid, "The access token's signature, issuer or audience is not right. Get a new token from /v1/identity/token.");
        }

        known = new SignedToken(key, jwt.Kid, result.ClaimsIdentity, jwt.Subject, jwt.ValidFrom, jwt.ValidTo, Thumbprint(jwt));
        signed.Set(token, known, BelievedFor);
        return await JudgeAsync(known, cancellationToken);
    }

    private async ValueTask<AccessTokenResult> JudgeAsync(SignedToken token, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (now > token.ValidTo + ClockSkew || now < token.ValidFrom - ClockSkew)
        {
            return Refused(AccessTokenOutcome.Expired, $"The access token was good from {token.ValidFrom:u} to {token.ValidTo:u}; it is {now:u}. Get a new token, or set the clock.");
        }

        var revoked = await revocations.GetAsync(cancellationToken);
        if (!Guid.TryParseExact(token.Subject, "D", out var subject) || revoked.IsRevokedSubject(subject))
        {
            return Refused(AccessTokenOutcome.Revoked, "The device or API key of this access token is revoked. Register the device again, or make a new key.");
        }

        // A copy: what one request adds to its caller's identity is no other's business.
        return new AccessTokenResult(AccessTokenOutcome.Valid, new ClaimsPrincipal(token.Identity.Clone()), token.ConfirmationThumbprint, "");
    }

    private static bool TryRead(string token, out JsonWebToken jwt)
    {
        jwt = null!;
        if (token.Length is 0 or > 16 * 1024 || !Handler.CanReadToken(token))
        {
            return false;
        }

        try
        {
            jwt = Handler.ReadJsonWebToken(token);
            return jwt is { Alg: SecurityAlgorithms.EcdsaSha256, Kid.Length: > 0 and <= 128 };
        }
        catch (Exception exception) when (exception is ArgumentException or SecurityTokenException or JsonException or FormatException)
        {
            // The library throws for what looks like a JWT and is none.
            return false;
        }
    }

    private static string? Thumbprint(JsonWebToken jwt) =>
        jwt.TryGetPayloadValue<JsonElement>(TokenClaims.Confirmation, out var confirmation)
        && confirmation.ValueKind == JsonValueKind.Object
        && confirmation.TryGetProperty("jkt", out var thumbprint)
            ? thumbprint.GetString()
            : null;

    private static AccessTokenResult Refused(AccessTokenOutcome outcome, string explanation) => new(outcome, null, null, explanation);

    private static string Shorten(string text) => text.Length <= 64 ? text : text[..64] + "...";

    /// <summary>A token whose signature, issuer and audience are right.</summary>
    private sealed record SignedToken(
        SecurityKey Key, string KeyId, ClaimsIdentity Identity, string Subject, DateTime ValidFrom, DateTime ValidTo, string? ConfirmationThumbprint);
}
