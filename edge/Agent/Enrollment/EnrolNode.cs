using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Agent.Enrollment;

/// <param name="CaFingerprint">SHA-256 of the platform CA, 64 hex characters; needed where the gateway's certificate is from that CA.</param>
/// <param name="EncryptionKeyFile">Key file of a pool that shares its encryption key; null makes a key of the node's own.</param>
internal sealed record EnrolCommand(Uri Gateway, string TokenFile, string StateFolder, string? Name, string? CaFingerprint, string? EncryptionKeyFile = null);

/// <summary>
/// Makes this machine a node: keys are made here and never leave, a one-time token pays for the certificate.
/// Keys are stored before they are sent, so a call whose answer was lost can be repeated and gives the same node.
/// </summary>
internal static class EnrolNode
{
    public static async Task<(EnrolledNode Node, bool AlreadyEnrolled)> RunAsync(EnrolCommand command, CancellationToken cancellationToken)
    {
        var files = new IdentityFiles(command.StateFolder);
        if (files.IsEnrolled)
        {
            RequireSameKey(files, command.EncryptionKeyFile);
            return (files.ReadNode(), true);
        }

        RequireProtectedTransport(command.Gateway);
        var token = await ReadTokenAsync(command.TokenFile, cancellationToken);
        using var tlsKey = TlsKey(files);
        using var encryptionKey = EncryptionKey(files, command.EncryptionKeyFile);
        using var http = await ConnectAsync(command, cancellationToken);
        var request = new CertificateRequest($"CN={Escape(command.Name ?? Environment.MachineName)}", tlsKey, HashAlgorithmName.SHA256);
        var response = await PostAsync(
            http, command.Gateway, new EnrolNodeRequest(token, request.CreateSigningRequestPem(), encryptionKey.PublicKey.Encode()), cancellationToken);

        Verify(response, tlsKey, command.CaFingerprint);
        await IdentityFiles.WriteAsync(files.Certificate, Encoding.UTF8.GetBytes(response.CertificatePem), cancellationToken);
        await IdentityFiles.WriteAsync(files.Authority, Encoding.UTF8.GetBytes(response.CaCertificatePem), cancellationToken);
        var node = new EnrolledNode(response.NodeId, response.Name, response.HubUrl, command.Gateway.ToString(), response.KeyStatement);
        await IdentityFiles.WriteAsync(files.Node, JsonSerializer.SerializeToUtf8Bytes(node, WireJson.Options), cancellationToken);
        return (node, false);
    }

    private static void RequireProtectedTransport(Uri gateway)
    {
        var loopback = gateway.IsLoopback || (IPAddress.TryParse(gateway.Host, out var address) && IPAddress.IsLoopback(address));
        if (gateway.Scheme != Uri.UriSchemeHttps && !(gateway.Scheme == Uri.UriSchemeHttp && loopback))
        {
            throw new EnrolmentException($"The gateway '{gateway}' is neither https nor on this machine: the token could be read on the way. Use its https address.");
        }
    }

    private static async Task<string> ReadTokenAsync(string file, CancellationToken cancellationToken)
    {
        if (!File.Exists(file))
        {
            throw new EnrolmentException($"There is no token file '{file}'. The node's owner makes a token with: rendertrust node token");
        }

        var token = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
        return token.Length is > 0 and <= 4096
            ? token
            : throw new EnrolmentException($"The token file '{file}' holds {token.Length} characters; a token has 1 to 4096. Save the token alone in it.");
    }

    private static ECDsa TlsKey(IdentityFiles files)
    {
        if (!File.Exists(files.TlsKey))
        {
            using var fresh = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            KeyFile.Write(files.TlsKey, KeyPurpose.Signing, fresh.ExportPkcs8PrivateKey());
        }

        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(KeyFile.Read(files.TlsKey, KeyPurpose.Signing), out _);
        return key;
    }

    private static RecipientKeyPair EncryptionKey(IdentityFiles files, string? sharedFile)
    {
        if (!File.Exists(files.EncryptionKey))
        {
            using var key = sharedFile is null ? RecipientKeyPair.Generate() : RecipientKeyPair.FromPkcs8(KeyFile.Read(sharedFile, KeyPurpose.Encryption));
            KeyFile.Write(files.EncryptionKey, KeyPurpose.Encryption, key.ExportPkcs8());
        }

        RequireSameKey(files, sharedFile);
        return RecipientKeyPair.FromPkcs8(KeyFile.Read(files.EncryptionKey, KeyPurpose.Encryption));
    }

    /// <summary>Jobs are sealed to the pool's present key: an agent that holds an earlier one would open none of them.</summary>
    private static void RequireSameKey(IdentityFiles files, string? sharedFile)
    {
        if (sharedFile is null)
        {
            return;
        }

        using var held = RecipientKeyPair.FromPkcs8(KeyFile.Read(files.EncryptionKey, KeyPurpose.Encryption));
        using var shared = RecipientKeyPair.FromPkcs8(KeyFile.Read(sharedFile, KeyPurpose.Encryption));
        if (held.PublicKey != shared.PublicKey)
        {
            throw new EnrolmentException(
                $"'{Path.GetDirectoryName(files.Folder)}' belongs to key {held.PublicKey.KeyId}, the pool's key in '{sharedFile}' is {shared.PublicKey.KeyId}. Remove the folder, and the agent enrols anew.");
        }
    }

    private static async Task<HttpClient> ConnectAsync(EnrolCommand command, CancellationToken cancellationToken)
    {
        if (command.CaFingerprint is not { } fingerprint || command.Gateway.Scheme != Uri.UriSchemeHttps)
        {
            return new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        }

        // Step 1: fetch the CA from anyone; only the one with the fingerprint that the owner was told is taken.
        TrustResponse trust;
#pragma warning disable CA5359 // Nothing secret is sent on this connection, and what it answers is checked against the fingerprint.
        using (var anyone = new HttpClient(new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true } }))
#pragma warning restore CA5359
        {
            trust = await anyone.GetFromJsonAsync<TrustResponse>(new Uri(command.Gateway, "/v1/identity/trust"), WireJson.Options, cancellationToken)
                ?? throw new EnrolmentException($"'{command.Gateway}' answered nothing for its CA.");
        }

        using var authority = X509Certificate2.CreateFromPem(trust.CaCertificatePem);
        RequireFingerprint(authority, fingerprint);

        // Step 2: from here on only servers under that CA.
        return new HttpClient(new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = PlatformTrust.Policy(authority) } })
        {
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    private static async Task<EnrolNodeResponse> PostAsync(HttpClient http, Uri gateway, EnrolNodeRequest request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            response = await http.PostAsJsonAsync(new Uri(gateway, "/v1/identity/node-enrolments"), request, WireJson.Options, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            throw new EnrolmentException(
                $"The gateway '{gateway}' cannot be reached: {exception.Message}. Check the address; if its certificate is from the platform's own CA, give --ca-fingerprint (from {gateway}v1/identity/trust).",
                exception);
        }

        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw new EnrolmentException($"The gateway refused the enrolment ({(int)response.StatusCode}): {await ProblemAsync(response, cancellationToken)}");
            }

            return await response.Content.ReadFromJsonAsync<EnrolNodeResponse>(WireJson.Options, cancellationToken)
                ?? throw new EnrolmentException($"The gateway '{gateway}' answered nothing.");
        }
    }

    private static async Task<string> ProblemAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        try
        {
            using var problem = JsonDocument.Parse(text);
            return problem.RootElement.ValueKind == JsonValueKind.Object
                && (problem.RootElement.TryGetProperty("detail", out var detail) || problem.RootElement.TryGetProperty("title", out detail))
                ? detail.ToString()
                : Shorten(text);
        }
        catch (JsonException)
        {
            return Shorten(text);
        }
    }

    private static string Shorten(string text) => text.Length <= 500 ? text : text[..500] + "...";

    private static void Verify(EnrolNodeResponse response, ECDsa tlsKey, string? fingerprint)
    {
        using var certificate = X509Certificate2.CreateFromPem(response.CertificatePem);
        using var authority = X509Certificate2.CreateFromPem(response.CaCertificatePem);
        if (fingerprint is not null)
        {
            RequireFingerprint(authority, fingerprint);
        }

        if (!certificate.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(tlsKey.ExportSubjectPublicKeyInfo()))
        {
            throw new EnrolmentException("The certificate that came back is for another key. Do not use this gateway; ask its operator.");
        }

        using var chain = new X509Chain { ChainPolicy = PlatformTrust.Policy(authority) };
        if (!chain.Build(certificate))
        {
            throw new EnrolmentException($"The certificate that came back is not from the CA that came with it: {string.Join(", ", chain.ChainStatus.Select(status => status.StatusInformation.Trim()))}");
        }
    }

    private static void RequireFingerprint(X509Certificate2 authority, string fingerprint)
    {
        var actual = authority.GetCertHashString(HashAlgorithmName.SHA256);
        if (!string.Equals(actual, fingerprint.Replace(":", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase))
        {
            throw new EnrolmentException($"The gateway's CA has fingerprint {actual.ToLowerInvariant()}, not the one given. Somebody may sit in between: compare it with the operator's.");
        }
    }

    private static string Escape(string name) => new([.. name.Where(character => char.IsLetterOrDigit(character) || character is '-' or '_' or '.' or ' ')]);
}
