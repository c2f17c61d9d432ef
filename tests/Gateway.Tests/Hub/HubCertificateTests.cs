using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Hub;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

public sealed class HubCertificateTests(TestDatabase database) : HubTest(database)
{
    private string Keys => Path.Combine(Folder, "keys", "hub");

    [Fact]
    public void Keys_are_readable_by_the_gateways_user_only()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Keys));
        Assert.All(Directory.GetFiles(Keys), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        Assert.Equal(3, Directory.GetFiles(Keys).Length);
    }

    [Fact]
    public async Task After_a_restart_the_kept_certificate_serves_even_while_identity_is_away()
    {
        Sidecar.IdentityIsAway = true;

        await using var again = await StartAnotherAsync(Folder);
        await again.ReadyAsync();

        Assert.NotNull(again.Services.GetRequiredService<HubCertificates>().Server);
        Assert.Equal(1, Sidecar.ServerCertificates);
    }

    [Fact]
    public async Task A_hub_that_starts_before_identity_lets_nodes_in_as_soon_as_it_can()
    {
        Sidecar.IdentityIsAway = true;
        await using var host = await StartAnotherAsync(Path.Combine(Folder, "early"));
        var certificates = host.Services.GetRequiredService<HubCertificates>();
        Assert.Null(certificates.Server);

        Sidecar.IdentityIsAway = false;

        await host.ReadyAsync();
        await Keep(host.Connect(Certificate)).OpenAsync();
    }

    [Fact]
    public async Task A_platform_that_was_set_up_anew_is_recognised()
    {
        Sidecar.Ca = Keep(new TestCa());
        using var fresh = Sidecar.Ca.IssueNode(NodeId.New(), Owner);

        await using var again = await StartAnotherAsync(Folder);
        var certificates = again.Services.GetRequiredService<HubCertificates>();

        await Wait.ForAsync(() => certificates.TryIdentify(fresh, out _), known => known);
        Assert.False(certificates.TryIdentify(Certificate, out _));
    }

    [Theory]
    [InlineData("server.key.pem")]
    [InlineData("server.crt.pem")]
    [InlineData("ca.crt.pem")]
    public async Task A_damaged_file_is_replaced(string file)
    {
        await File.WriteAllTextAsync(Path.Combine(Keys, file), "-----BEGIN NONSENSE-----", Token);

        await using var again = await StartAnotherAsync(Folder);
        await again.ReadyAsync();

        Assert.Equal(2, Sidecar.ServerCertificates);
        await Keep(again.Connect(Certificate)).OpenAsync();
    }
}
