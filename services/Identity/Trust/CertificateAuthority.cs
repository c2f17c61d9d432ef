using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>Issues certificates under the platform CA. From a request only the public key is taken; names and usages are ours.</summary>
internal sealed class CertificateAuthority(PlatformKeys keys, IOptions<IdentityOptions> options, TimeProvider time)
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";
    private const string NistP256 = "1.2.840.10045.3.1.7";
    private const int MaxRequestCharacters = 16 * 1024;

    /// <summary>Reads a PKCS#10 request; its own signature proves that the sender has the private key. Null with the reason otherwise.</summary>
    public static (PublicKey? Key, string Explanation) ReadRequest(string pem)
    {
        if (pem.Length > MaxRequestCharacters)
        {
            return (null, $"The certificate request has {pem.Length} characters (limit {MaxRequestCharacters}).");
        }

        try
        {
            var request = CertificateRequest.LoadSigningRequestPem(pem, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.Default);
            using var key = request.PublicKey.GetECDsaPublicKey();
            return key?.ExportParameters(includePrivateParameters: false).Curve.Oid.Value == NistP256
                ? (request.PublicKey, "")
                : (null, "The certificate request's key must be an EC key on P-256.");
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException or NotSupportedException)
        {
            return (null, $"The certificate request is no PKCS#10 PEM signed with its own key (ECDSA P-256, SHA-256): {exception.Message}");
        }
    }

    public X509Certificate2 IssueNode(NodeId node, TenantId owner, string name, string keyId, PublicKey key)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri($"urn:rendertrust:node:{node}"));
        names.AddUri(new Uri($"urn:rendertrust:tenant:{owner}"));
        names.AddUri(new Uri($"urn:rendertrust:key:{keyId}"));
        names.AddUri(new Uri($"urn:rendertrust:name:{Uri.EscapeDataString(name)}"));
        return Sign(keys.CaCertificate, keys.CaKey, $"CN={node}", key, names, ClientAuthentication, time.GetUtcNow(), TimeSpan.FromDays(options.Value.NodeCertificateDays));
    }

    /// <summary>Names are checked by the caller.</summary>
    public X509Certificate2 IssueServer(IReadOnlyList<string> hosts, PublicKey key)
    {
        var names = new SubjectAlternativeNameBuilder();
        foreach (var host in hosts)
        {
            if (IPAddress.TryParse(host, out var address))
            {
                names.AddIpAddress(address);
            }
            else
            {
                names.AddDnsName(host);
            }
        }

        return Sign(keys.CaCertificate, keys.CaKey, "CN=RenderTrust hub", key, names, ServerAuthentication, time.GetUtcNow(), TimeSpan.FromDays(options.Value.ServerCertificateDays));
    }

    internal static X509Certificate2 Sign(
        X509Certificate2 ca, ECDsa caKey, string subject, PublicKey key, SubjectAlternativeNameBuilder names, string? extendedUsage, DateTimeOffset now, TimeSpan life)
    {
        var request = new CertificateRequest(new X500DistinguishedName(subject), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        if (extendedUsage is not null)
        {
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(extendedUsage)], critical: false));
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(key, critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(ca, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        // Clocks of fresh machines run behind; a certificate must not be of the future there.
        var notBefore = now.AddMinutes(-5);
        var notAfter = now + life;
        var last = new DateTimeOffset(ca.NotAfter.ToUniversalTime());
        var serial = RandomNumberGenerator.GetBytes(16);
        // Positive and of full length, as RFC 5280 wants.
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        return request.Create(ca.SubjectName, X509SignatureGenerator.CreateForECDsa(caKey), notBefore, notAfter < last ? notAfter : last, serial);
    }
}
