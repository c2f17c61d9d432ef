using System.Security.Cryptography.X509Certificates;
using RenderTrust.Contracts;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>A started gateway with a hub that nodes can connect to, and one enrolled node.</summary>
public abstract class HubTest(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly List<IDisposable> things = [];

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("hub-").FullName;

    private protected HubSidecar Sidecar { get; private set; } = null!;

    private protected HubHost Host { get; set; } = null!;

    private protected NodeId Node { get; } = NodeId.New();

    private protected TenantId Owner { get; } = TenantId.New();

    private protected X509Certificate2 Certificate { get; private set; } = null!;

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private protected virtual (string Key, string Value)[] Settings => [];

    public async ValueTask InitializeAsync()
    {
        Sidecar = await HubSidecar.StartAsync();
        Certificate = Keep(Sidecar.Ca.IssueNode(Node, Owner, "attic box / 2"));
        Host = await HubHost.StartAsync(database, Folder, Sidecar, Settings);
        await Host.ReadyAsync();
    }

    public async ValueTask DisposeAsync()
    {
        things.ForEach(thing => thing.Dispose());
        await Host.DisposeAsync();
        await Sidecar.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    private protected T Keep<T>(T thing)
        where T : IDisposable
    {
        things.Add(thing);
        return thing;
    }

    private protected TestNode Connect(X509Certificate2? certificate = null) => Keep(Host.Connect(certificate ?? Certificate));

    private protected Task<TestNode> OpenAsync(X509Certificate2? certificate = null) => Connect(certificate).OpenAsync();

    private protected Task<HubHost> StartAnotherAsync(string folder, params (string Key, string Value)[] settings) => HubHost.StartAsync(database, folder, Sidecar, settings);
}
