using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>Outcome of looking at a DPoP proof, in the order of the checks.</summary>
public enum DpopOutcome
{
    Missing,
    Malformed,
    BadKey,
    BadSignature,
    WrongMethod,
    WrongUrl,
    TooOld,
    FromTheFuture,
    WrongAccessToken,
    Valid,
}

/// <param name="Thumbprint">RFC 7638 thumbprint of the proof's key; set only when valid. The caller compares it with the token's <c>cnf.jkt</c>.</param>
/// <param name="ProofId"><c>jti</c>; set only when valid. The caller refuses one that it has seen.</param>
public sealed record DpopResult(DpopOutcome Outcome, string? Thumbprint, string? ProofId, DateTimeOffset? IssuedAt, string Explanation);

/// <summary>
/// Verifies DPoP proofs (RFC 9449): a pure function of its arguments. Replay is the caller's to refuse, by <see cref="DpopResult.ProofId"/>,
/// for as long as <see cref="RememberFor"/>.
/// </summary>
public static class DpopProofs
{
    /// <summary>A proof is made for one request: this covers the way and a slow clock.</summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(120);

    public static readonly TimeSpan MaxAhead = TimeSpan.FromSeconds(60);

    /// <summary>A proof id must be remembered this long after its use.</summary>
    public static readonly TimeSpan RememberFor = MaxAge + MaxAhead;

    private const int MaxProofCharacters = 4096;
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    /// <summary><c>ath</c> of an access token: base64url of its SHA-256.</summary>
    public static string AccessTokenHash(string accessToken) => Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(accessToken)));

    /// <param name="url">As the client called it: scheme, host, port and path; query and fragment are ignored on both sides.</param>
    /// <param name="accessTokenHash">From <see cref="AccessTokenHash"/>; null at the token endpoint, where there is no token yet.</param>
    public static DpopResult Verify(string? proof, string method, Uri url, string? accessTokenHash, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(url);
        if (string.IsNullOrEmpty(proof))
        {
            return Refused(DpopOutcome.Missing, "Header DPoP is missing. Send a proof signed with the device key (RFC 9449).");
        }

        var parts = proof.Split('.');
        if (proof.Length > MaxProofCharacters || parts.Length != 3 || !TryParse(parts[0], out var header) || !TryParse(parts[1], out var payload))
        {
            return Refused(DpopOutcome.Malformed, "The DPoP proof is not a compact JWS of at most 4096 characters.");
        }

        using (header)
        using (payload)
        {
            return Verify(parts, header!.RootElement, payload!.RootElement, method, url, accessTokenHash, now);
        }
    }

    private static DpopResult Verify(
        string[] parts, JsonElement header, JsonElement payload, string method, Uri url, string? accessTokenHash, DateTimeOffset now)
    {
        if (Text(header, "typ") != "dpop+jwt" || Text(header, "alg") != "ES256")
        {
            return Refused(DpopOutcome.Malformed, "The DPoP proof must have typ 'dpop+jwt' and alg 'ES256'.");
        }

        if (!header.TryGetProperty("jwk", out var member) || member.ValueKind != JsonValueKind.Object || member.TryGetProperty("d", out _)
            || Jwk(member) is not { } jwk || !EcKeys.TryImport(jwk, out var key))
        {
            return Refused(DpopOutcome.BadKey, "The DPoP proof's jwk must be a public EC key on P-256.");
        }

        using (key)
        {
            if (!EcKeys.TryDecode(parts[2], 64, out var signature)
                || !key.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation))
            {
                return Refused(DpopOutcome.BadSignature, "The DPoP proof's signature does not fit its jwk.");
            }
        }

        if (Text(payload, "jti") is not { Length: > 0 and <= 128 } proofId
            || !payload.TryGetProperty("iat", out var issued) || issued.ValueKind != JsonValueKind.Number || !issued.TryGetInt64(out var seconds)
            || seconds is < 0 or > 253_402_300_799)
        {
            return Refused(DpopOutcome.Malformed, "The DPoP proof must carry jti (at most 128 characters) and iat (Unix seconds).");
        }

        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(seconds);
        if (Text(payload, "htm") != method)
        {
            return Refused(DpopOutcome.WrongMethod, $"The DPoP proof is for method '{Text(payload, "htm")}', the request is {method}.");
        }

        if (!SameUrl(Text(payload, "htu"), url))
        {
            return Refused(DpopOutcome.WrongUrl, $"The DPoP proof is for '{Text(payload, "htu")}', the request is for '{Plain(url)}'.");
        }

        if (now - issuedAt > MaxAge)
        {
            return Refused(DpopOutcome.TooOld, $"The DPoP proof is {(now - issuedAt).TotalSeconds:0} s old (limit {MaxAge.TotalSeconds:0} s). Make one per request and check the clock.");
        }

        if (issuedAt - now > MaxAhead)
        {
            return Refused(DpopOutcome.FromTheFuture, $"The DPoP proof is dated {(issuedAt - now).TotalSeconds:0} s ahead (limit {MaxAhead.TotalSeconds:0} s). Check the clock.");
        }

        if (accessTokenHash is not null && Text(payload, "ath") != accessTokenHash)
        {
            return Refused(DpopOutcome.WrongAccessToken, "The DPoP proof's ath is not the hash of the access token that came with it.");
        }

        return new DpopResult(DpopOutcome.Valid, EcKeys.Thumbprint(jwk), proofId, issuedAt, "");
    }

    private static bool SameUrl(string? claimed, Uri url) =>
        Uri.TryCreate(claimed, UriKind.Absolute, out var other) && string.Equals(Plain(other), Plain(url), StringComparison.Ordinal);

    // Uri lower-cases scheme and host and drops a default port by itself.
    private static string Plain(Uri url) => url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped);

    private static EcPublicJwk? Jwk(JsonElement element) =>
        Text(element, "kty") is { } kty && Text(element, "crv") is { } crv && Text(element, "x") is { } x && Text(element, "y") is { } y
            ? new EcPublicJwk(kty, crv, x, y)
            : null;

    private static bool TryParse(string part, out JsonDocument? document)
    {
        document = null;
        if (!Base64Url.IsValid(part))
        {
            return false;
        }

        try
        {
            document = JsonDocument.Parse(Base64Url.DecodeFromChars(part), Strict);
        }
        catch (JsonException)
        {
            return false;
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return true;
        }

        document.Dispose();
        return false;
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static DpopResult Refused(DpopOutcome outcome, string explanation) => new(outcome, null, null, null, explanation);
}
