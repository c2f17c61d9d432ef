using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Hub;

/// <summary>
/// The hub's server certificate and the CA that it trusts for nodes. Both come from identity by CSR, the key never leaves this folder;
/// until they are there the listener refuses handshakes, and nodes try again.
/// </summary>
internal sealed partial class HubCertificates(AppInvoker invoker, IOptions<HubOptions> options, TimeProvider time, ILogger<HubCertificates> logger) : BackgroundService
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";
    private static readonly TimeSpan CheckEvery = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan RenewBefore = TimeSpan.FromDays(10);
    private readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Held? held;

    public X509Certificate2? Server => held?.Server;

    /// <summary>Completes when nodes can connect.</summary>
    public Task Ready => ready.Task;

    private string KeyFile => Path.Combine(options.Value.KeyDirectory, "server.key.pem");

    private string CertificateFile => Path.Combine(options.Value.KeyDirectory, "server.crt.pem");

    private string CaFile => Path.Combine(options.Value.KeyDirectory, "ca.crt.pem");

    /// <summary>True when <paramref name="certificate"/> is under the platform CA, valid now and one of a node.</summary>
    public bool TryIdentify(X509Certificate2? certificate, [NotNullWhen(true)] out NodeIdentity? node)
    {
        node = null;
        if (certificate is null || held is not { } known)
        {
            return false;
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(known.Ca);
        // Revocation comes from identity's list, which is honoured within seconds; the CA publishes no CRL.
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        // A certificate must not be able to send us to an address of its choice.
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        chain.ChainPolicy.VerificationTime = time.GetUtcNow().UtcDateTime;
        if (!chain.Build(certificate))
        {
            return false;
        }

        node = NodeIdentity.TryRead(certificate);
        return node is not null;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (held is null && TryLoad() is { } kept)
                {
                    Use(kept);
                }

                if (held is null || time.GetUtcNow() > held.Server.NotAfter.ToUniversalTime() - RenewBefore || !await IsOfThisPlatformAsync(held, stoppingToken))
                {
                    Use(await ObtainAsync(stoppingToken));
                    LogObtained(logger, held!.Server.NotAfter);
                }

                failures = 0;
                await Task.Delay(CheckEvery, time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // Identity starts beside us; the first tries fail as a rule and are not worth a line.
                failures++;
                if (failures % 20 == 10)
                {
                    LogObtainFailed(logger, exception, failures);
                }

                await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(5_000, 100 * failures)), time, stoppingToken);
            }
        }
    }

    private void Use(Held next)
    {
        held = next;
        ready.TrySetResult();
    }

    private Held? TryLoad()
    {
        if (!File.Exists(KeyFile) || !File.Exists(CertificateFile) || !File.Exists(CaFile))
        {
            return null;
        }

        try
        {
            return Make(File.ReadAllText(CertificateFile), File.ReadAllText(KeyFile), File.ReadAllText(CaFile));
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            // A crash between two of the files, or a damaged one: identity gives new ones.
            LogUnusable(logger, options.Value.KeyDirectory, exception.Message);
            return null;
        }
    }

    /// <summary>A platform that was set up anew has another CA; certificates of the old one would keep every node out.</summary>
    private async Task<bool> IsOfThisPlatformAsync(Held known, CancellationToken cancellationToken)
    {
        var trust = await invoker.GetAsync<TrustResponse>(Apps.Identity, "/internal/ca", cancellationToken);
        return string.Equals(trust.CaFingerprintSha256, known.Ca.GetCertHashString(HashAlgorithmName.SHA256), StringComparison.OrdinalIgnoreCase);
    }

    private async Task<Held> ObtainAsync(CancellationToken cancellationToken)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=rendertrust-hub", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in options.Value.DnsNames)
        {
            if (IPAddress.TryParse(name, out var address))
            {
                names.AddIpAddress(address);
            }
            else
            {
                names.AddDnsName(name);
            }
        }

        request.CertificateExtensions.Add(names.Build());
        var answer = await invoker.PostAsync<ServerCertificateRequest, ServerCertificateResponse>(
            Apps.Identity, "/internal/server-certificates", new ServerCertificateRequest(request.CreateSigningRequestPem(), [.. options.Value.DnsNames]), cancellationToken);
        var keyPem = key.ExportPkcs8PrivateKeyPem();
        var made = Make(answer.CertificatePem, keyPem, answer.CaCertificatePem);
        Directory.CreateDirectory(options.Value.KeyDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        // One that was there before may be open to others.
        File.SetUnixFileMode(options.Value.KeyDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await WritePrivateAsync(KeyFile, keyPem, cancellationToken);
        await WritePrivateAsync(CaFile, answer.CaCertificatePem, cancellationToken);
        // Last: a certificate without its key would be loaded at the next start and fail every handshake.
        await WritePrivateAsync(CertificateFile, answer.CertificatePem, cancellationToken);
        return made;
    }

    private static Held Make(string certificatePem, string keyPem, string caPem)
    {
        using var fresh = X509Certificate2.CreateFromPem(certificatePem, keyPem);
        // Through PKCS#12: TLS on some platforms cannot use a key that only lives in memory.
        return new Held(X509CertificateLoader.LoadPkcs12(fresh.Export(X509ContentType.Pkcs12), null), X509Certificate2.CreateFromPem(caPem));
    }

    private static async Task WritePrivateAsync(string path, string text, CancellationToken cancellationToken)
    {
        await using (var writer = new StreamWriter(new FileStream(path + ".new", new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        })))
        {
            await writer.WriteAsync(text.AsMemory(), cancellationToken);
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    private sealed record Held(X509Certificate2 Server, X509Certificate2 Ca);

    [LoggerMessage(LogLevel.Information, "The hub has its server certificate, valid until {NotAfter}")]
    private static partial void LogObtained(ILogger logger, DateTime notAfter);

    [LoggerMessage(LogLevel.Warning, "The certificates in {Folder} cannot be used ({Cause}); new ones are asked for")]
    private static partial void LogUnusable(ILogger logger, string folder, string cause);

    [LoggerMessage(LogLevel.Warning, "Identity has not answered for the hub's certificate after {Failures} tries; until it does, nodes can connect only by one that is kept and valid")]
    private static partial void LogObtainFailed(ILogger logger, Exception exception, int failures);
}
