using System.Text.Json;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>Signs statements that an encryption key is whose it says: compact JWS, x5c leads to the pinned CA.</summary>
internal sealed class KeyStatements(PlatformKeys keys, IOptions<IdentityOptions> options, TimeProvider time)
{
    private static readonly JsonWebTokenHandler Handler = new() { SetDefaultTimesOnTokenCreation = false };

    /// <param name="kind"><c>node</c>, <c>creator</c> or <c>overflow</c>.</param>
    /// <param name="key">Base64url of the 65-byte point.</param>
    public string Sign(string kind, Guid subject, TenantId owner, string keyId, string key, string name)
    {
        var now = time.GetUtcNow();
        var statement = new KeyStatement(kind, subject, owner, keyId, key, name, now.ToUnixTimeSeconds(), now.AddDays(options.Value.KeyStatementDays).ToUnixTimeSeconds());
        var credentials = new SigningCredentials(new ECDsaSecurityKey(keys.StatementKey), SecurityAlgorithms.EcdsaSha256);
        return Handler.CreateToken(
            JsonSerializer.Serialize(statement, WireJson.Options),
            credentials,
            new Dictionary<string, object> { ["x5c"] = new[] { Convert.ToBase64String(keys.StatementCertificate.RawData) } });
    }
}
