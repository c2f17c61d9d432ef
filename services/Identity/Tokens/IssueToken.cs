using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>RFC 6749, 5.2.</summary>
internal sealed record OAuthError(
    [property: JsonPropertyName("error")] string Error,
    [property: JsonPropertyName("error_description")] string Description);

/// <summary>
/// Exchanges a device's signed assertion (RFC 7523) for an access token bound to the device's key (RFC 9449).
/// Each assertion and each DPoP proof is good once.
/// </summary>
internal static partial class IssueToken
{
    private const string JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";

    public static async Task<Results<JsonHttpResult<TokenResponse>, JsonHttpResult<OAuthError>>> HandleAsync(
        HttpContext http, NpgsqlDataSource database, PlatformKeys keys, ServiceApp app, IOptions<IdentityOptions> options,
        TimeProvider time, ILogger<TokenResponse> logger, CancellationToken cancellationToken)
    {
        http.Response.Headers.CacheControl = "no-store";
        if (!http.Request.HasFormContentType)
        {
            return Refuse("invalid_request", $"The body is '{http.Request.ContentType}'; send application/x-www-form-urlencoded.");
        }

        var form = await ReadFormAsync(http, cancellationToken);
        if (form is null)
        {
            return Refuse("invalid_request", "The form cannot be read.");
        }

        if (form["grant_type"] is not [JwtBearer])
        {
            return Refuse("unsupported_grant_type", $"grant_type is '{form["grant_type"]}'; send {JwtBearer}.");
        }

        if (form["assertion"] is not [{ Length: > 0 } text] || Assertions.Read(text) is not { } jwt)
        {
            return Refuse("invalid_request", "assertion must be one ES256 JWT of at most 4096 characters, signed with the device key.");
        }

        if (!TryScopes(form["scope"].ToString(), out var scopes, out var badScope))
        {
            return Refuse("invalid_scope", $"Scope '{badScope}' is not known. Known are: {string.Join(' ', Scopes.All)}.");
        }

        var now = time.GetUtcNow();
        // Unknown and revoked look the same: whether a device id exists is nobody's business.
        var device = DeviceId.TryParse(jwt.Issuer, null, out var deviceId) && jwt.Subject == jwt.Issuer
            ? await FindAsync(database, deviceId, cancellationToken)
            : null;
        if (device is null)
        {
            return Refuse("invalid_grant", "The assertion's iss and sub must both be the id of a registered device that is not revoked.");
        }

        var (assertion, explanation) = await Assertions.VerifyAsync(jwt, device.Key, Assertions.TokenAudience, now);
        if (assertion is null)
        {
            return Refuse("invalid_grant", explanation);
        }

        var proof = VerifyProof(http, app, options.Value, now);
        if (proof.Outcome != DpopOutcome.Valid)
        {
            return Refuse("invalid_dpop_proof", proof.Explanation);
        }

        if (proof.Thumbprint != device.Thumbprint)
        {
            return Refuse("invalid_dpop_proof", "The DPoP proof is signed with another key than the device's.");
        }

        if (!await UsedProofs.TryUseAsync(database, device.Thumbprint, assertion, proof, cancellationToken))
        {
            LogReplayed(logger, deviceId);
            return Refuse("invalid_grant", "The assertion or the DPoP proof was used before. Make new ones, each with its own jti.");
        }

        var lifetime = TimeSpan.FromSeconds(options.Value.AccessTokenSeconds);
        var token = AccessTokens.Create(keys.TokenKey, new AccessTokenContent(deviceId.Value, "device", device.Tenant, scopes, device.Thumbprint, now, now + lifetime));
        LogIssued(logger, deviceId, string.Join(' ', scopes));
        return TypedResults.Json(new TokenResponse(token, "DPoP", (int)lifetime.TotalSeconds, string.Join(' ', scopes)));
    }

    private static async Task<IFormCollection?> ReadFormAsync(HttpContext http, CancellationToken cancellationToken)
    {
        try
        {
            return await http.Request.ReadFormAsync(cancellationToken);
        }
        catch (InvalidDataException)
        {
            // Too many or too long fields, or a broken encoding: the caller's mistake in every case.
            return null;
        }
    }

    /// <summary>No scope asked for = all that a device has.</summary>
    internal static bool TryScopes(string text, out IReadOnlyList<string> scopes, out string? bad)
    {
        var asked = text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal).ToList();
        bad = asked.FirstOrDefault(scope => !Scopes.All.Contains(scope, StringComparer.Ordinal));
        scopes = asked.Count == 0 ? Scopes.All : asked;
        return bad is null;
    }

    /// <summary>The client calls the gateway, not this app: the proof names one of the gateway's public origins.</summary>
    private static DpopResult VerifyProof(HttpContext http, ServiceApp app, IdentityOptions options, DateTimeOffset now)
    {
        // Two DPoP headers are one too many (RFC 9449, 4.3).
        var header = http.Request.Headers["DPoP"];
        var proof = header.Count > 1 ? string.Join(',', header!) : header.ToString();
        var result = default(DpopResult);
        foreach (var origin in Origins(http, app, options))
        {
            result = DpopProofs.Verify(proof, http.Request.Method, new Uri(origin, http.Request.Path), accessTokenHash: null, now);
            if (result.Outcome != DpopOutcome.WrongUrl)
            {
                break;
            }
        }

        return result!;
    }

    private static IEnumerable<Uri> Origins(HttpContext http, ServiceApp app, IdentityOptions options)
    {
        // Where an operator has said by which addresses clients come, no header adds another.
        if (options.PublicUrls.Count > 0)
        {
            return options.PublicUrls.Select(url => new Uri(url));
        }

        // Believed only from the own sidecar: the gateway replaces whatever a client sends in these headers.
        var request = http.Request;
        var viaSidecar = app.ApiToken is null || app.IsApiToken(request.Headers["dapr-api-token"]);
        var own = new Uri($"{request.Scheme}://{request.Host}/");
        return viaSidecar && Uri.TryCreate($"{request.Headers["X-Forwarded-Proto"]}://{request.Headers["X-Forwarded-Host"]}/", UriKind.Absolute, out var forwarded)
            ? [forwarded, own]
            : [own];
    }

    private static async Task<Device?> FindAsync(NpgsqlDataSource database, DeviceId id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT tenant_id, key_thumbprint, key_x, key_y FROM devices WHERE device_id = $1 AND revoked_at IS NULL");
        command.Parameters.Add(new() { Value = id.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Device(new TenantId(reader.GetGuid(0)), reader.GetString(1), new EcPublicJwk("EC", "P-256", reader.GetString(2), reader.GetString(3)))
            : null;
    }

    private static JsonHttpResult<OAuthError> Refuse(string error, string description) =>
        TypedResults.Json(new OAuthError(error, description), statusCode: StatusCodes.Status400BadRequest);

    private sealed record Device(TenantId Tenant, string Thumbprint, EcPublicJwk Key);

    [LoggerMessage(LogLevel.Information, "Device {DeviceId} got an access token for {Scopes}")]
    private static partial void LogIssued(ILogger logger, DeviceId deviceId, string scopes);

    [LoggerMessage(LogLevel.Warning, "Device {DeviceId} presented an assertion or proof that was used before")]
    private static partial void LogReplayed(ILogger logger, DeviceId deviceId);
}
