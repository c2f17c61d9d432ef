using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>
/// The platform's own keys, in files outside the database so that a dump of it cannot speak for the platform:
/// the CA, the signer of key statements (under the CA), the signer of access tokens.
/// </summary>
internal sealed class PlatformKeys(IOptions<IdentityOptions> options, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan CaLife = TimeSpan.FromDays(3650);
    private static readonly TimeSpan SignerLife = TimeSpan.FromDays(365);
    private static readonly TimeSpan SignerRenewBefore = TimeSpan.FromDays(60);

    private Opened? opened;

    public ECDsa CaKey => Ready.Ca.Key;

    public X509Certificate2 CaCertificate => Ready.Ca.Certificate;

    public ECDsa StatementKey => Ready.Statements.Key;

    public X509Certificate2 StatementCertificate => Ready.Statements.Certificate;

    public ECDsaSecurityKey TokenKey => Ready.TokenKey;

    /// <summary>JWKS of the token key.</summary>
    public string Jwks => Ready.Jwks;

    public TrustResponse Trust => Ready.Trust;

    private Opened Ready => opened ?? throw new InvalidOperationException("The platform's keys are not open yet; they are opened at the start of the service.");

    /// <summary>Opens the files, making those that are missing. One process at a time: two starters share one CA.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        var folder = options.Value.KeyDirectory;
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        RefuseOpenFolder(folder);
        await using var turn = await LockAsync(Path.Combine(folder, ".lock"), cancellationToken);

        var ca = OpenOrMake(Path.Combine(folder, "platform-ca.pem"), _ => true, MakeCa);
        var statements = OpenOrMake(
            Path.Combine(folder, "key-statements.pem"),
            pair => pair.Certificate.NotAfter.ToUniversalTime() > (time.GetUtcNow() + SignerRenewBefore).UtcDateTime && pair.Certificate.Issuer == ca.Certificate.Subject,
            () => MakeStatementSigner(ca));
        var tokenKey = OpenOrMakeTokenKey(Path.Combine(folder, "access-tokens.pem"));
        var jwk = EcKeys.ToJwk(tokenKey);
        var keyId = EcKeys.Thumbprint(jwk);
        opened = new Opened(
            ca,
            statements,
            new ECDsaSecurityKey(tokenKey) { KeyId = keyId },
            $$"""{"keys":[{"kty":"EC","crv":"P-256","x":"{{jwk.X}}","y":"{{jwk.Y}}","kid":"{{keyId}}","use":"sig","alg":"ES256"}]}""",
            new TrustResponse(ca.Certificate.ExportCertificatePem(), Convert.ToHexStringLower(SHA256.HashData(ca.Certificate.RawData)), options.Value.HubUrl));
    }

    public void Dispose()
    {
        opened?.Ca.Dispose();
        opened?.Statements.Dispose();
        opened?.TokenKey.ECDsa.Dispose();
    }

    private static void RefuseOpenFolder(string folder)
    {
        var mode = File.GetUnixFileMode(folder);
        const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        if ((mode & others) != 0)
        {
            throw new InvalidOperationException($"The key directory {folder} is open to others (mode {Convert.ToString((int)mode, 8)}). Run: chmod 700 {folder}");
        }
    }

    private async Task<FileStream> LockAsync(string path, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // FileShare.None is an flock on Unix: it goes with the process, so a crash leaves nothing behind.
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (attempt < 300)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), time, cancellationToken);
            }
        }
    }

    private static KeyPair OpenOrMake(string path, Func<KeyPair, bool> isGood, Func<KeyPair> make)
    {
        if (File.Exists(path))
        {
            var text = File.ReadAllText(path);
            var key = ECDsa.Create();
            key.ImportFromPem(text);
            var pair = new KeyPair(key, X509Certificate2.CreateFromPem(text));
            if (isGood(pair))
            {
                return pair;
            }

            pair.Dispose();
        }

        var made = make();
        Write(path, made.Key.ExportPkcs8PrivateKeyPem() + "\n" + made.Certificate.ExportCertificatePem() + "\n");
        return made;
    }

    private static ECDsa OpenOrMakeTokenKey(string path)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (File.Exists(path))
        {
            key.ImportFromPem(File.ReadAllText(path));
        }
        else
        {
            Write(path, key.ExportPkcs8PrivateKeyPem() + "\n");
        }

        return key;
    }

    /// <summary>Whole or not at all, also when the power goes: key and certificate are one file for the same reason.</summary>
    private static void Write(string path, string text)
    {
        var draft = path + ".new";
        File.Delete(draft);
        using (var file = new FileStream(draft, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            file.Write(System.Text.Encoding.ASCII.GetBytes(text));
            file.Flush(flushToDisk: true);
        }

        File.Move(draft, path, overwrite: true);
    }

    private KeyPair MakeCa()
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=RenderTrust platform CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = time.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddMinutes(-5), now + CaLife);
        return new KeyPair(key, X509CertificateLoader.LoadCertificate(certificate.RawData));
    }

    private KeyPair MakeStatementSigner(KeyPair ca)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(WellKnown.StatementSignerUri));
        var certificate = CertificateAuthority.Sign(
            ca.Certificate, ca.Key, "CN=RenderTrust key statements", new PublicKey(key), names, extendedUsage: null, time.GetUtcNow(), SignerLife);
        return new KeyPair(key, certificate);
    }

    private sealed record KeyPair(ECDsa Key, X509Certificate2 Certificate) : IDisposable
    {
        public void Dispose()
        {
            Key.Dispose();
            Certificate.Dispose();
        }
    }

    private sealed record Opened(KeyPair Ca, KeyPair Statements, ECDsaSecurityKey TokenKey, string Jwks, TrustResponse Trust);
}

/// <summary>Opens the keys at the start and makes sure that they are those of this database.</summary>
internal sealed partial class OpenPlatformKeys(PlatformKeys keys, NpgsqlDataSource database, TimeProvider time, IOptions<IdentityOptions> options, ILogger<OpenPlatformKeys> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await keys.OpenAsync(cancellationToken);
        var fingerprint = keys.Trust.CaFingerprintSha256;
        await using var command = database.CreateCommand(
            """
            WITH mine AS (INSERT INTO platform_ca (fingerprint_sha256, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING fingerprint_sha256)
            SELECT fingerprint_sha256 FROM mine UNION ALL SELECT fingerprint_sha256 FROM platform_ca LIMIT 1
            """);
        command.Parameters.Add(new() { Value = fingerprint });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        // Null when another starter's row was committed in between: read it again.
        var known = (string?)await command.ExecuteScalarAsync(cancellationToken) ?? (string?)await command.ExecuteScalarAsync(cancellationToken);
        if (known != fingerprint)
        {
            throw new InvalidOperationException(
                $"The key directory {options.Value.KeyDirectory} holds CA {fingerprint}, this database's nodes hang under CA {known}. Point Identity:KeyDirectory to the right folder or restore it from its backup.");
        }

        LogOpened(logger, fingerprint);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Information, "Opened the platform CA {Fingerprint}")]
    private static partial void LogOpened(ILogger logger, string fingerprint);
}
