using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>How long facts of identity are believed.</summary>
public sealed class TrustOptions
{
    public const string Section = "Trust";

    /// <summary>Period of the poll for revocations. Default 2 s, so that one is honoured within 5 s even without the broadcast.</summary>
    [Range(0.1, 60)]
    public double RevocationPollSeconds { get; set; } = 2;

    /// <summary>A list of revocations older than this is not believed, and tokens are answered 503. Default 60 s: long enough for a restart of identity.</summary>
    [Range(1, 3600)]
    public int RevocationMaxAgeSeconds { get; set; } = 60;

    /// <summary>Signing keys are fetched again after this. Default 600 s.</summary>
    [Range(1, 86_400)]
    public int SigningKeyMaxAgeSeconds { get; set; } = 600;

    /// <summary>An unknown key id asks identity again, but not more often than this: forged tokens must not become calls. Default 5 s.</summary>
    [Range(0, 3600)]
    public int UnknownKeyRetrySeconds { get; set; } = 5;
}

/// <summary>What every service must know of identity to check a token by itself. Identity answers from its own tables; tests bring their own.</summary>
public interface IIdentityFacts
{
    /// <summary>JWKS (RFC 7517) of the keys that sign access tokens.</summary>
    Task<string> GetSigningKeysAsync(CancellationToken cancellationToken);

    Task<RevocationList> GetRevocationsAsync(CancellationToken cancellationToken);
}

/// <summary>Identity cannot be asked, and what is known is too old to be believed.</summary>
public sealed class IdentityUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

internal sealed class RemoteIdentityFacts(AppInvoker invoker) : IIdentityFacts
{
    public async Task<string> GetSigningKeysAsync(CancellationToken cancellationToken) =>
        (await invoker.GetAsync<JsonElement>(Apps.Identity, "/internal/jwks", cancellationToken)).GetRawText();

    public Task<RevocationList> GetRevocationsAsync(CancellationToken cancellationToken) =>
        invoker.GetAsync<RevocationList>(Apps.Identity, "/internal/revocations", cancellationToken);
}
