using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Contracts;

/// <summary>An EC P-256 public key as in RFC 7517: base64url coordinates.</summary>
public sealed record EcPublicJwk([property: Required] string Kty, [property: Required] string Crv, [property: Required] string X, [property: Required] string Y, string? Kid = null);

/// <summary><c>POST /v1/identity/registrations</c>, anonymous. Signed by the device: <see cref="Proof"/> is an ES256 JWT over the same members.</summary>
/// <param name="DeviceKey">ES256 key that signs token assertions and DPoP proofs.</param>
/// <param name="EncryptionKey">Base64url of the 65-byte P-256 point that outputs are granted to.</param>
/// <param name="Proof">ES256 JWT by the device key: aud = <c>rendertrust:registration</c>, claims jti, iat, exp (5 min), enc = EncryptionKey.</param>
public sealed record RegisterRequest(
    [property: StringLength(100, MinimumLength = 1)] string DisplayName,
    [property: StringLength(100, MinimumLength = 1)] string DeviceName,
    EcPublicJwk DeviceKey,
    [property: Required] string EncryptionKey,
    [property: Required] string Proof);

public sealed record RegisterResponse(TenantId TenantId, DeviceId DeviceId);

/// <summary>
/// <c>POST /v1/identity/token</c>, form-encoded (RFC 7523): grant_type = urn:ietf:params:oauth:grant-type:jwt-bearer,
/// assertion = ES256 JWT by the device key (iss = sub = device id, aud = <c>rendertrust:token</c>, jti, iat, exp ≤ 5 min), scope optional; header DPoP binds the token.
/// </summary>
public sealed record TokenResponse(
    [property: System.Text.Json.Serialization.JsonPropertyName("access_token")] string AccessToken,
    [property: System.Text.Json.Serialization.JsonPropertyName("token_type")] string TokenType,
    [property: System.Text.Json.Serialization.JsonPropertyName("expires_in")] int ExpiresInSeconds,
    [property: System.Text.Json.Serialization.JsonPropertyName("scope")] string Scope);

/// <summary><c>GET /v1/identity/trust</c>, anonymous: what clients and nodes pin on first contact.</summary>
/// <param name="CaCertificatePem">Root of node, hub and key-statement certificates.</param>
/// <param name="CaFingerprintSha256">Of its DER, lower-case hex.</param>
public sealed record TrustResponse(string CaCertificatePem, string CaFingerprintSha256, string HubUrl);

/// <summary><c>POST /v1/identity/node-tokens</c> (scope nodes): a one-time enrolment token, shown once.</summary>
public sealed record NodeTokenRequest([property: StringLength(100, MinimumLength = 1)] string NodeName, [property: Range(60, 604_800)] int ExpiresInSeconds = 3600);

public sealed record NodeTokenResponse(string Token, DateTimeOffset ExpiresAt);

/// <summary><c>POST /v1/identity/node-enrolments</c>, anonymous with a one-time token. Repeating it with the same token and the same keys answers the same node.</summary>
public sealed record EnrolNodeRequest([property: Required] string Token, [property: Required] string CsrPem, [property: Required] string EncryptionKey);

/// <param name="CertificatePem">Subject CN = node id; SAN URIs <c>urn:rendertrust:node:{id}</c>, <c>urn:rendertrust:tenant:{id}</c>, <c>urn:rendertrust:key:{keyId}</c> and <c>urn:rendertrust:name:{percent-encoded}</c>.</param>
public sealed record EnrolNodeResponse(NodeId NodeId, string Name, string CertificatePem, string CaCertificatePem, string HubUrl, string KeyStatement);

/// <summary><c>GET /v1/identity/key-statements?kind=node|creator|overflow</c>: compact JWS each, header x5c = statement certificate under the platform CA, with the SAN URI <see cref="WellKnown.StatementSignerUri"/>.</summary>
public sealed record KeyStatementList(IReadOnlyList<string> Statements);

/// <summary>Payload of a key statement.</summary>
/// <param name="Kind"><c>node</c>, <c>creator</c>, <c>cluster</c> or <c>overflow</c>.</param>
/// <param name="Key">Base64url of the 65-byte P-256 point.</param>
/// <param name="Nbf">Unix seconds.</param>
/// <param name="Exp">Unix seconds.</param>
public sealed record KeyStatement(string Kind, Guid Subject, TenantId Owner, string KeyId, string Key, string Name, long Nbf, long Exp);

/// <summary>Scheduler to identity: <c>POST /internal/overflow-pools</c>: states the key that the platform's overflow agents share, in place of an earlier one.</summary>
/// <param name="Key">Base64url of the 65-byte P-256 point.</param>
public sealed record PublishOverflowPoolRequest([property: StringLength(100, MinimumLength = 1)] string Name, [property: Required] string Key);

/// <summary>A published pool.</summary>
/// <param name="OwnerTenantId">The platform's own tenant, which its agents belong to.</param>
public sealed record OverflowPool(Guid PoolId, TenantId OwnerTenantId, string KeyId);

/// <summary>Scheduler to identity: <c>POST /internal/overflow-pools/withdrawn</c>: no overflow agents are started any more.</summary>
public sealed record WithdrawOverflowPoolRequest([property: Required] string KeyId);

/// <summary><c>POST /v1/identity/api-keys</c>: a scoped key for clients that cannot do DPoP; shown once, stored hashed. Form: <c>rtk_</c> + 43 base64url characters.</summary>
public sealed record CreateApiKeyRequest([property: StringLength(100, MinimumLength = 1)] string Name, [property: MinLength(1)] IReadOnlyList<string> Scopes, [property: Range(60, 31_536_000)] int ExpiresInSeconds = 7_776_000);

public sealed record CreateApiKeyResponse(Guid ApiKeyId, string ApiKey, DateTimeOffset ExpiresAt);

public sealed record ApiKeyList(IReadOnlyList<ApiKeyItem> ApiKeys);

public sealed record ApiKeyItem(Guid ApiKeyId, string Name, IReadOnlyList<string> Scopes, DateTimeOffset ExpiresAt, bool Revoked);

/// <summary>Gateway to identity: <c>POST /internal/api-keys/introspections</c>. Answers an internal token, or Active = false.</summary>
public sealed record IntrospectApiKeyRequest(string ApiKey);

public sealed record IntrospectApiKeyResponse(bool Active, string? AccessToken, int ExpiresInSeconds);

/// <summary>Gateway to identity: <c>POST /internal/server-certificates</c>, for the hub's listener.</summary>
public sealed record ServerCertificateRequest([property: Required] string CsrPem, [property: MinLength(1)] IReadOnlyList<string> DnsNames);

public sealed record ServerCertificateResponse(string CertificatePem, string CaCertificatePem);

/// <summary><c>GET /internal/revocations</c>: everything that is revoked and not yet expired, with a version that rises.</summary>
public sealed record RevocationList(long Version, IReadOnlyList<Guid> Devices, IReadOnlyList<NodeId> Nodes, IReadOnlyList<Guid> ApiKeys);

/// <summary><c>GET /v1/identity/me</c>.</summary>
public sealed record MeResponse(TenantId TenantId, string DisplayName, string Subject, IReadOnlyList<string> Scopes);

/// <summary><c>GET /v1/identity/devices</c> (scope admin).</summary>
public sealed record DeviceList(IReadOnlyList<DeviceItem> Devices);

public sealed record DeviceItem(DeviceId DeviceId, string Name, DateTimeOffset CreatedAt, bool Revoked);

/// <summary><c>GET /internal/nodes/{nodeId}</c>.</summary>
/// <param name="KeyId">Of the node's encryption key.</param>
public sealed record NodeIdentity(NodeId NodeId, TenantId OwnerTenantId, string Name, string KeyId, bool Revoked);
