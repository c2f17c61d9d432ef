using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Contracts;

/// <summary><c>POST /v1/identity/sign-ins</c> (scope admin, a device's own token): begins the sign-in of a browser by a link that is good once.</summary>
/// <param name="CodeSha256">SHA-256 of the code's base64url text, lower-case hex; the code is derived from the link's secret (docs/formats/sealing.md, section 7).</param>
public sealed record CreateSignInRequest([property: RegularExpression("^[0-9a-f]{64}$")] string CodeSha256);

public sealed record CreateSignInResponse(Guid SignInId, DateTimeOffset ExpiresAt);

/// <summary><c>GET /v1/identity/sign-ins/{signInId}</c>: whether a browser has come.</summary>
/// <param name="Browser">Absent until then.</param>
public sealed record SignInState(Guid SignInId, DateTimeOffset ExpiresAt, SignInBrowser? Browser);

/// <param name="Key">Base64url of the 65-byte point that the creator's key may be sealed for, if <paramref name="Proof"/> is right.</param>
/// <param name="Proof">Base64url of 32 bytes.</param>
/// <param name="Name">What the browser calls itself.</param>
public sealed record SignInBrowser(Guid SessionId, string Key, string Proof, string Name);

/// <summary><c>POST /v1/identity/sign-ins/{signInId}/key</c>: the creator's key, sealed for the browser. Base64 in JSON.</summary>
public sealed record HandOverKeyRequest(byte[] HandedOver);

/// <summary>Gateway to identity: <c>POST /internal/sign-ins/redemptions</c>.</summary>
/// <param name="Code">Base64url of 32 bytes.</param>
public sealed record RedeemSignInRequest(
    [property: RegularExpression("^[A-Za-z0-9_-]{43}$")] string Code,
    [property: RegularExpression("^[A-Za-z0-9_-]{87}$")] string BrowserKey,
    [property: RegularExpression("^[A-Za-z0-9_-]{43}$")] string Proof,
    [property: StringLength(100, MinimumLength = 1)] string BrowserName);

/// <summary>In the order of the checks.</summary>
public enum RedeemOutcome
{
    /// <summary>Unknown, used before, or of a device that is revoked: they look the same.</summary>
    UnknownCode,
    Expired,
    BadBrowserKey,
    TooManySessions,
    SignedIn,
}

/// <param name="Session">The secret of the cookie; shown this once.</param>
public sealed record RedeemSignInResponse(RedeemOutcome Outcome, Guid? SignInId = null, string? Session = null, DateTimeOffset? ExpiresAt = null);

/// <summary>Gateway to identity: <c>POST /internal/sessions/introspections</c>.</summary>
public sealed record IntrospectSessionRequest(string Session);

/// <param name="AccessToken">For services behind the gateway; set only when active.</param>
public sealed record IntrospectSessionResponse(bool Active, string? AccessToken = null, BrowserSession? Session = null);

/// <param name="KeyId">Of the creator's encryption key: what the browser needs to open outputs.</param>
public sealed record BrowserSession(Guid SessionId, TenantId TenantId, string DisplayName, string KeyId, DateTimeOffset ExpiresAt);

/// <summary>Gateway to identity: <c>GET /internal/sessions/{sessionId}/key</c>.</summary>
/// <param name="HandedOver">Absent until the device has sealed it.</param>
/// <param name="Open">Whether it can still come.</param>
public sealed record HandedOverKey(Guid SignInId, byte[]? HandedOver, bool Open);

/// <summary><c>GET /v1/identity/sessions</c> (scope admin): browsers that are signed in, newest first.</summary>
public sealed record SessionList(IReadOnlyList<SessionItem> Sessions);

public sealed record SessionItem(Guid SessionId, string Name, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt);
