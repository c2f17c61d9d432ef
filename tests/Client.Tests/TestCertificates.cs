using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Tests;

/// <summary>A platform CA with its statement signer, as identity has them.</summary>
internal sealed class TestCa : IDisposable
{
    private readonly ECDsa _rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly DateTimeOffset _from = DateTimeOffset.UtcNow.AddDays(-1);

    public TestCa()
    {
        var request = new CertificateRequest("CN=Test platform CA", _rootKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        Root = request.CreateSelfSigned(_from, _from.AddYears(10));
    }

    public X509Certificate2 Root { get; }

    public string RootPem => Root.ExportCertificatePem();

    public string Fingerprint => Convert.ToHexStringLower(SHA256.HashData(Root.RawData));

    public (X509Certificate2 Certificate, ECDsa Key) Issue(string name, string uri, DateTimeOffset? until = null)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        names.AddUri(new Uri(uri));
        request.CertificateExtensions.Add(names.Build());
        return (request.Create(Root, _from, until ?? _from.AddYears(1), RandomNumberGenerator.GetBytes(16)), key);
    }

    public string Statement(KeyStatement statement, string uri = WellKnown.StatementSignerUri, DateTimeOffset? certificateUntil = null)
    {
        var (certificate, key) = Issue("signer", uri, certificateUntil);
        var header = JsonSerializer.SerializeToUtf8Bytes(new { alg = "ES256", x5c = new[] { Convert.ToBase64String(certificate.RawData) } });
        var payload = JsonSerializer.SerializeToUtf8Bytes(statement, WireJson.Options);
        var signed = $"{Base64Url.EncodeToString(header)}.{Base64Url.EncodeToString(payload)}";
        return $"{signed}.{Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}";
    }

    public static KeyStatement NodeStatement(RecipientPublicKey key, string kind = "node")
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        return new KeyStatement(kind, Guid.CreateVersion7(), TenantId.New(), key.KeyId, key.Encode(), "node one", now - 60, now + 3600);
    }

    public void Dispose()
    {
        Root.Dispose();
        _rootKey.Dispose();
    }
}
