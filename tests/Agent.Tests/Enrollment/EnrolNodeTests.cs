using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using RenderTrust.Agent.Enrollment;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Tests.Enrollment;

public sealed class EnrolNodeTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rendertrust-enrol-").FullName;
    private IdentityDouble _identity = null!;

    private string State => Path.Combine(_folder, "state");

    private string TokenFile => Path.Combine(_folder, "token");

    public async ValueTask InitializeAsync()
    {
        _identity = await IdentityDouble.StartAsync();
        await File.WriteAllTextAsync(TokenFile, "one-time-token\n");
    }

    public async ValueTask DisposeAsync()
    {
        await _identity.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task An_enrolled_node_holds_keys_that_only_it_can_read_and_a_certificate_for_them()
    {
        var (node, already) = await EnrolNode.RunAsync(Command(), Token);

        Assert.False(already);
        Assert.Equal("test node", node.Name);
        var files = new IdentityFiles(State);
        foreach (var file in Directory.GetFiles(files.Folder))
        {
            Assert.Equal(Modes.PrivateFile, File.GetUnixFileMode(file));
        }

        Assert.Equal(Modes.Private, File.GetUnixFileMode(files.Folder));
        using var identity = NodeIdentity.Load(files);
        Assert.True(identity.Certificate.HasPrivateKey);
        Assert.Equal(_identity.Requests[0].EncryptionKey, identity.EncryptionKey.PublicKey.Encode());
    }

    [Fact]
    public async Task Enrolling_again_changes_nothing_and_asks_nobody()
    {
        await EnrolNode.RunAsync(Command(), Token);

        var (_, already) = await EnrolNode.RunAsync(Command(), Token);

        Assert.True(already);
        Assert.Single(_identity.Requests);
    }

    [Fact]
    public async Task A_lost_answer_is_asked_for_again_with_the_same_keys()
    {
        _identity.LostAnswers = 1;
        await Assert.ThrowsAsync<EnrolmentException>(() => EnrolNode.RunAsync(Command(), Token));

        await EnrolNode.RunAsync(Command(), Token);

        Assert.Equal(_identity.Requests[0].EncryptionKey, _identity.Requests[1].EncryptionKey);
        var keys = _identity.Requests.Select(request => CertificateRequest.LoadSigningRequestPem(request.CsrPem, HashAlgorithmName.SHA256).PublicKey.ExportSubjectPublicKeyInfo()).ToArray();
        Assert.Equal(keys[0], keys[1]);
    }

    [Fact]
    public async Task A_refused_token_is_told_in_the_platforms_words()
    {
        await File.WriteAllTextAsync(TokenFile, "spent", Token);

        var refused = await Assert.ThrowsAsync<EnrolmentException>(() => EnrolNode.RunAsync(Command(), Token));

        Assert.Contains("401", refused.Message, StringComparison.Ordinal);
        Assert.Contains("rendertrust node token", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_for_another_key_is_refused()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var csr = new CertificateRequest("CN=other", other, HashAlgorithmName.SHA256).CreateSigningRequestPem();
        _identity.Twist = (_, response) => response with { CertificatePem = _identity.Authority.IssueNode(csr, response.NodeId.Value).ExportCertificatePem() };

        var refused = await Assert.ThrowsAsync<EnrolmentException>(() => EnrolNode.RunAsync(Command(), Token));

        Assert.Contains("another key", refused.Message, StringComparison.Ordinal);
        Assert.False(new IdentityFiles(State).IsEnrolled);
    }

    [Fact]
    public async Task A_certificate_from_another_authority_is_refused()
    {
        using var other = new Nodes.TestAuthority();
        _identity.Twist = (request, response) => response with { CertificatePem = other.IssueNode(request.CsrPem, response.NodeId.Value).ExportCertificatePem() };

        await Assert.ThrowsAsync<EnrolmentException>(() => EnrolNode.RunAsync(Command(), Token));
    }

    [Fact]
    public async Task A_token_is_not_sent_over_an_open_network()
    {
        var refused = await Assert.ThrowsAsync<EnrolmentException>(
            () => EnrolNode.RunAsync(Command() with { Gateway = new Uri("http://gateway.example:8080") }, Token));

        Assert.Contains("https", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(new IdentityFiles(State).TlsKey));
    }

    [Fact]
    public async Task A_missing_token_file_names_the_command_that_makes_one()
    {
        File.Delete(TokenFile);

        var refused = await Assert.ThrowsAsync<EnrolmentException>(() => EnrolNode.RunAsync(Command(), Token));

        Assert.Contains("rendertrust node token", refused.Message, StringComparison.Ordinal);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private EnrolCommand Command() => new(_identity.Address, TokenFile, State, null, null);
}
