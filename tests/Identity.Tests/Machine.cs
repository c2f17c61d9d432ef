using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RenderTrust.Identity.Tests;

/// <summary>What a machine brings to its enrolment: a TLS key, and an encryption key of its own or of a pool.</summary>
internal sealed class Machine(string? encryptionKey = null) : IDisposable
{
    public ECDsa Key { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public string EncryptionKey { get; } = encryptionKey ?? TestDevice.NewPoint();

    public string KeyId => KeyIdOf(EncryptionKey);

    public static string KeyIdOf(string point) => System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(System.Buffers.Text.Base64Url.DecodeFromChars(point)).AsSpan(0, 16));

    public string Csr() => new CertificateRequest("CN=whatever I like", Key, HashAlgorithmName.SHA256).CreateSigningRequestPem();

    public void Dispose() => Key.Dispose();
}
