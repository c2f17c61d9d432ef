using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using RenderTrust.Client.Http;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Identity;

/// <summary>What signing up needs.</summary>
public sealed record SignUp(Uri GatewayUrl, string DisplayName, string DeviceName)
{
    /// <summary>Protects the key files; none means mode 0600 only.</summary>
    public string? Passphrase { get; init; }

    /// <summary>
    /// SHA-256 of the platform CA in hex, when it is known from elsewhere; else the first contact pins what it finds. Needed for https with a
    /// certificate of the platform's own CA, which this machine does not know yet.
    /// </summary>
    public string? CaFingerprintSha256 { get; init; }
}

/// <summary>First contact: pins the platform's CA, makes keys and registers them.</summary>
internal static class Registration
{
    private static readonly TimeSpan ProofLife = TimeSpan.FromMinutes(4);

    public static async Task<CreatorProfile> RunAsync(
        SignUp signUp, string folder, HttpMessageHandler? handler, TimeProvider time, CancellationToken cancellationToken)
    {
        var trust = await PinAsync(signUp, handler, cancellationToken);
        using var http = Anonymous(signUp, handler, trust);
        var (device, encryption) = CreatorProfile.MakeKeys(folder, signUp.Passphrase);
        var facts = await RegisterAsync(http, signUp, trust, device, encryption, time, cancellationToken);
        return CreatorProfile.Save(folder, facts, device, encryption);
    }

    /// <summary>Keys and account live in memory; the folder is only where job records would go.</summary>
    public static async Task<CreatorProfile> RunInMemoryAsync(
        SignUp signUp, string folder, HttpMessageHandler? handler, TimeProvider time, CancellationToken cancellationToken)
    {
        var trust = await PinAsync(signUp, handler, cancellationToken);
        using var http = Anonymous(signUp, handler, trust);
        var device = DeviceKey.Generate();
        var encryption = RecipientKeyPair.Generate();
        var facts = await RegisterAsync(http, signUp, trust, device, encryption, time, cancellationToken);
        return CreatorProfile.InMemory(folder, facts, device, encryption);
    }

    private static HttpClient Anonymous(SignUp signUp, HttpMessageHandler? handler, TrustResponse trust)
    {
        // The CA's own object is not disposed of: the handler's checks need it for as long as connections are made.
        var ca = X509Certificate2.CreateFromPem(trust.CaCertificatePem);
        return Client(signUp, handler ?? PlatformHandler.Create(ca), disposeHandler: handler is null);
    }

    private static HttpClient Client(SignUp signUp, HttpMessageHandler handler, bool disposeHandler) => new(handler, disposeHandler)
    {
        BaseAddress = new Uri(signUp.GatewayUrl.GetLeftPart(UriPartial.Authority)),
        Timeout = TimeSpan.FromSeconds(30),
    };

    private static async Task<TrustResponse> PinAsync(SignUp signUp, HttpMessageHandler? handler, CancellationToken cancellationToken)
    {
        var pinning = handler ?? (signUp.CaFingerprintSha256 is null ? PlatformHandler.Create(platformCa: null) : PlatformHandler.CreateForPinning());
        using var http = Client(signUp, pinning, disposeHandler: handler is null);
        var trust = await http.GetAsync<TrustResponse>("/v1/identity/trust", cancellationToken);
        using var certificate = X509Certificate2.CreateFromPem(trust.CaCertificatePem);
        var fingerprint = Convert.ToHexStringLower(SHA256.HashData(certificate.RawData));
        var expected = signUp.CaFingerprintSha256 ?? fingerprint;
        if (fingerprint != trust.CaFingerprintSha256 || !fingerprint.Equals(expected, StringComparison.OrdinalIgnoreCase))
        {
            throw new RenderTrustException(
                RenderTrustError.Untrusted,
                $"The platform's CA has the fingerprint {fingerprint}, expected {signUp.CaFingerprintSha256 ?? trust.CaFingerprintSha256}. Check the address. Nothing was registered.");
        }

        return trust;
    }

    private static async Task<ProfileFacts> RegisterAsync(
        HttpClient http, SignUp signUp, TrustResponse trust, DeviceKey device, RecipientKeyPair encryption, TimeProvider time, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var encryptionKey = encryption.PublicKey.Encode();
        var proof = device.SignJwt(
            "JWT",
            new JsonObject
            {
                ["aud"] = "rendertrust:registration",
                ["jti"] = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16)),
                ["iat"] = now.ToUnixTimeSeconds(),
                ["exp"] = now.Add(ProofLife).ToUnixTimeSeconds(),
                ["enc"] = encryptionKey,
            },
            withJwk: true);
        var answer = await http.PostAsync<RegisterResponse>(
            "/v1/identity/registrations",
            new RegisterRequest(signUp.DisplayName, signUp.DeviceName, device.PublicJwk, encryptionKey, proof),
            cancellationToken);
        return new ProfileFacts(
            1, http.BaseAddress!, answer.TenantId, answer.DeviceId, signUp.DisplayName, signUp.DeviceName, trust.CaCertificatePem);
    }
}
