using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>A certificate authority that a test holds in its hand: issues what identity would, and what it never would.</summary>
internal sealed class TestCa : IDisposable
{
    private const string ServerUsage = "1.3.6.1.5.5.7.3.1";
    private const string ClientUsage = "1.3.6.1.5.5.7.3.2";
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestCa()
    {
        var request = new CertificateRequest("CN=Test CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        Root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(100));
    }

    public X509Certificate2 Root { get; }

    public TrustResponse Trust => new(Root.ExportCertificatePem(), Root.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant(), "https://127.0.0.1:8444");

    public ServerCertificateResponse IssueServer(ServerCertificateRequest asked)
    {
        var csr = CertificateRequest.LoadSigningRequestPem(asked.CsrPem, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in asked.DnsNames)
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

        using var certificate = Issue("CN=hub", csr.PublicKey, names, ServerUsage);
        return new ServerCertificateResponse(certificate.ExportCertificatePem(), Root.ExportCertificatePem());
    }

    public X509Certificate2 IssueNode(NodeId node, TenantId owner, string name = "attic box", string keyId = "key-1", DateTimeOffset? until = null)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri($"urn:rendertrust:node:{node}"));
        names.AddUri(new Uri($"urn:rendertrust:tenant:{owner}"));
        names.AddUri(new Uri($"urn:rendertrust:key:{keyId}"));
        names.AddUri(new Uri($"urn:rendertrust:name:{Uri.EscapeDataString(name)}"));
        return WithKey($"CN={node}", names, ClientUsage, until);
    }

    /// <summary>Of this CA, but for a server: no node may come with it, though the names are a node's.</summary>
    public X509Certificate2 IssueServerNamedLikeNode(NodeId node, TenantId owner)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri($"urn:rendertrust:node:{node}"));
        names.AddUri(new Uri($"urn:rendertrust:tenant:{owner}"));
        names.AddUri(new Uri("urn:rendertrust:key:key-1"));
        return WithKey($"CN={node}", names, ServerUsage, null);
    }

    /// <summary>Of this CA and for a client, but without a node's names.</summary>
    public X509Certificate2 IssueNameless() => WithKey("CN=somebody", new SubjectAlternativeNameBuilder(), ClientUsage, null);

    public void Dispose()
    {
        Root.Dispose();
        key.Dispose();
    }

    private X509Certificate2 WithKey(string subject, SubjectAlternativeNameBuilder names, string usage, DateTimeOffset? until)
    {
        using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var issued = Issue(subject, new PublicKey(own), names, usage, until);
        using var both = issued.CopyWithPrivateKey(own);
        return X509CertificateLoader.LoadPkcs12(both.Export(X509ContentType.Pkcs12), null);
    }

    private X509Certificate2 Issue(string subject, PublicKey publicKey, SubjectAlternativeNameBuilder names, string usage, DateTimeOffset? until = null)
    {
        var request = new CertificateRequest(new X500DistinguishedName(subject), publicKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
        request.CertificateExtensions.Add(names.Build());
        return request.Create(Root, until is null ? DateTimeOffset.UtcNow.AddHours(-1) : DateTimeOffset.UtcNow.AddHours(-5), until ?? DateTimeOffset.UtcNow.AddDays(30), RandomNumberGenerator.GetBytes(8));
    }
}
