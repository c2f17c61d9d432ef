using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Identity;

/// <summary>A key that may be sealed for, with the statement that says whose it is.</summary>
public sealed record VerifiedRecipient(KeyStatement Statement, RecipientPublicKey Key);

/// <summary>
/// Checks key statements against the pinned platform CA. The platform hands them out, but could not slip in a key of its own
/// without signing for it with a key that is kept apart.
/// </summary>
internal sealed class KeyStatementVerifier(X509Certificate2 platformCa, TimeProvider time)
{
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);

    public VerifiedRecipient Verify(string jws, string kind)
    {
        var parts = jws.Split('.');
        if (parts.Length != 3)
        {
            throw Untrusted("it is no compact JWS");
        }

        try
        {
            using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[0]));
            using var certificate = SignerOf(header.RootElement);
            using var key = certificate.GetECDsaPublicKey() ?? throw Untrusted("its certificate has no EC key");
            if (!key.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256))
            {
                throw Untrusted("its signature is wrong");
            }

            var statement = JsonSerializer.Deserialize<KeyStatement>(Base64Url.DecodeFromChars(parts[1]), WireJson.Options)
                ?? throw Untrusted("its payload is null");
            return Check(statement, kind);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or CryptographicException)
        {
            throw Untrusted($"it cannot be read ({exception.Message})", exception);
        }
    }

    private VerifiedRecipient Check(KeyStatement statement, string kind)
    {
        var now = time.GetUtcNow();
        if (statement.Kind != kind)
        {
            throw Untrusted($"it is for a key of kind '{statement.Kind}', not '{kind}'");
        }

        if (now + ClockSkew < DateTimeOffset.FromUnixTimeSeconds(statement.Nbf) || now - ClockSkew > DateTimeOffset.FromUnixTimeSeconds(statement.Exp))
        {
            throw Untrusted($"it is valid from {statement.Nbf} to {statement.Exp} and now is {now.ToUnixTimeSeconds()}; check this machine's clock");
        }

        if (!RecipientPublicKey.TryParse(statement.Key, out var key) || key.KeyId != statement.KeyId)
        {
            throw Untrusted($"its key is no P-256 key with the id {statement.KeyId}");
        }

        return new VerifiedRecipient(statement, key);
    }

    private X509Certificate2 SignerOf(JsonElement header)
    {
        if (!header.TryGetProperty("alg", out var algorithm) || algorithm.GetString() != "ES256")
        {
            throw Untrusted("it is not signed with ES256");
        }

        if (!header.TryGetProperty("x5c", out var x5c) || x5c.ValueKind != JsonValueKind.Array || x5c.GetArrayLength() is 0 or > 4)
        {
            throw Untrusted("it names no certificate");
        }

        var certificates = x5c.EnumerateArray().Select(item => X509CertificateLoader.LoadCertificate(item.GetBytesFromBase64())).ToList();
        var leaf = certificates[0];
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(platformCa);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        // A certificate that was handed to us must not be able to send us to an address of its choice.
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTimeIgnored = false;
        chain.ChainPolicy.VerificationTime = time.GetUtcNow().UtcDateTime;
        foreach (var extra in certificates.Skip(1))
        {
            chain.ChainPolicy.ExtraStore.Add(extra);
        }

        if (!chain.Build(leaf))
        {
            throw Untrusted($"its certificate '{leaf.Subject}' is not under the pinned platform CA ({string.Join(", ", chain.ChainStatus.Select(status => status.Status))})");
        }

        // The same CA certifies nodes and servers. None of those may vouch for keys, or one stolen node could read every new job.
        if (!StatementCertificate.MaySignStatements(leaf))
        {
            throw Untrusted($"its certificate '{leaf.Subject}' is not one for key statements");
        }

        return leaf;
    }

    private static RenderTrustException Untrusted(string why, Exception? inner = null) =>
        new(RenderTrustError.Untrusted, $"A key statement was refused: {why}. Nothing was sealed for it.", inner);
}
