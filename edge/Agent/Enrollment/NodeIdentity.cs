using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using RenderTrust.Agent.Scratch;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Agent.Enrollment;

/// <summary>What an enrolled node is: its certificate, the platform CA that it pins, and its encryption key.</summary>
internal sealed class NodeIdentity : IDisposable
{
    private NodeIdentity(EnrolledNode node, X509Certificate2 certificate, X509Certificate2 authority, RecipientKeyPair encryptionKey)
    {
        Node = node;
        Certificate = certificate;
        Authority = authority;
        EncryptionKey = encryptionKey;
    }

    public EnrolledNode Node { get; }

    public X509Certificate2 Certificate { get; }

    public X509Certificate2 Authority { get; }

    public RecipientKeyPair EncryptionKey { get; }

    public static NodeIdentity Load(IdentityFiles files)
    {
        if (!files.IsEnrolled)
        {
            throw new EnrolmentException($"There is no enrolled node in '{files.Folder}'. Run: enroll --gateway URL --token-file FILE --state {Path.GetDirectoryName(files.Folder)}");
        }

        using var tlsKey = ECDsa.Create();
        tlsKey.ImportPkcs8PrivateKey(KeyFile.Read(files.TlsKey, KeyPurpose.Signing), out _);
        using var certificate = X509Certificate2.CreateFromPem(File.ReadAllText(files.Certificate));
        return new NodeIdentity(
            files.ReadNode(),
            certificate.CopyWithPrivateKey(tlsKey),
            X509Certificate2.CreateFromPem(File.ReadAllText(files.Authority)),
            RecipientKeyPair.FromPkcs8(KeyFile.Read(files.EncryptionKey, KeyPurpose.Encryption)));
    }

    public void Dispose()
    {
        Certificate.Dispose();
        Authority.Dispose();
        EncryptionKey.Dispose();
    }
}

/// <summary>The public facts of an enrolled node, as they lie in <c>node.json</c>.</summary>
internal sealed record EnrolledNode(NodeId NodeId, string Name, string HubUrl, string GatewayUrl, string KeyStatement);

/// <summary>Where identity lies in the state folder: a closed folder of files that only this user reads.</summary>
internal sealed class IdentityFiles
{
    public IdentityFiles(string stateFolder)
    {
        Folder = Path.Combine(Path.GetFullPath(stateFolder), "identity");
        Directory.CreateDirectory(Folder, Modes.Private);
    }

    public string Folder { get; }

    public string TlsKey => Path.Combine(Folder, "tls.key");

    public string EncryptionKey => Path.Combine(Folder, "encryption.key");

    public string Certificate => Path.Combine(Folder, "node.crt");

    public string Authority => Path.Combine(Folder, "ca.crt");

    /// <summary>Written last: it alone says that an enrolment is complete.</summary>
    public string Node => Path.Combine(Folder, "node.json");

    public bool IsEnrolled => File.Exists(Node);

    public EnrolledNode ReadNode() => JsonSerializer.Deserialize<EnrolledNode>(File.ReadAllBytes(Node), WireJson.Options)
        ?? throw new EnrolmentException($"'{Node}' is empty. Remove the state folder and enrol again.");

    /// <summary>Writes a private file in one step.</summary>
    public static async Task WriteAsync(string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var temporary = path + ".part";
        File.Delete(temporary);
        await using (var file = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Modes.PrivateFile }))
        {
            await file.WriteAsync(content, cancellationToken);
            Fsync.File(file);
        }

        File.Move(temporary, path, overwrite: true);
    }
}

/// <summary>Enrolling cannot go on; the message says what to do.</summary>
internal sealed class EnrolmentException(string message, Exception? inner = null) : Exception(message, inner);
