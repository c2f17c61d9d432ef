using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Enrollment;
using RenderTrust.Agent.Hosting;
using RenderTrust.Agent.Tests.Enrollment;
using RenderTrust.Sealing;

namespace RenderTrust.Agent.Tests.Nodes;

/// <summary>An enrolled node, a hub, and the node's own host in this process.</summary>
public abstract class NodeTest : IAsyncLifetime
{
    private readonly List<(CancellationTokenSource Stop, Task Running)> _nodes = [];
    private IdentityDouble _identity = null!;

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("rendertrust-node-").FullName;

    private protected string State => Path.Combine(Folder, "state");

    private protected TestHub Hub { get; private set; } = null!;

    private protected RecipientPublicKey NodeKey { get; private set; } = null!;

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private protected MemoryLog Log { get; } = new();

    public async ValueTask InitializeAsync()
    {
        _identity = await IdentityDouble.StartAsync();
        Hub = new TestHub(_identity.Authority);
        await Hub.StartAsync();
        _identity.HubUrl = Hub.Url;
        _identity.Twist = (request, response) =>
        {
            // Scratch is named by node id, and tests run side by side.
            var id = Guid.CreateVersion7();
            using var certificate = _identity.Authority.IssueNode(request.CsrPem, id);
            return response with { NodeId = new(id), CertificatePem = certificate.ExportCertificatePem() };
        };
        var tokenFile = Path.Combine(Folder, "token");
        await File.WriteAllTextAsync(tokenFile, "one-time-token");
        await EnrolNode.RunAsync(new EnrolCommand(_identity.Address, tokenFile, State, null, null), CancellationToken.None);
        using var identity = NodeIdentity.Load(new IdentityFiles(State));
        NodeKey = identity.EncryptionKey.PublicKey;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (stop, running) in _nodes)
        {
            await stop.CancelAsync();
            await running;
            stop.Dispose();
        }

        // A killed agent could not do it.
        RenderTrust.Agent.Scratch.ScratchSpace.Wipe("/dev/shm/rendertrust-" + new IdentityFiles(State).ReadNode().NodeId);
        await Hub.DisposeAsync();
        await _identity.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Starts the node and waits for its stream.</summary>
    private protected async Task<TestSession> StartNodeAsync(Action<AgentOptions>? change = null)
    {
        StartNode(change);
        return await Hub.NextSessionAsync();
    }

    private protected Func<Task> StartNode(Action<AgentOptions>? change = null)
    {
        var stop = new CancellationTokenSource();
        var running = RunNodeAsync(change, stop.Token);
        _nodes.Add((stop, running));
        return async () =>
        {
            await stop.CancelAsync();
            await running;
        };
    }

    /// <summary>Runs a node to its own end.</summary>
    private protected Task RunNodeAsync(Action<AgentOptions>? change, CancellationToken cancellationToken)
    {
        var options = new AgentOptions { StateFolder = State, Runner = "simulate", Slots = 2, SimulatedMilliseconds = 5, ScratchBytes = 256 << 20, ReconnectMaxSeconds = 1, JobCacheIdleSeconds = 600, BlobRetrySeconds = 1 };
        change?.Invoke(options);
        var host = new NodeHost(Options.Create(options), new NodeEnvironment(Development: true, DockerHost: null), TimeProvider.System, LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(Log)));
        return Task.Run(() => host.RunAsync(enrolFirst: null, cancellationToken), CancellationToken.None);
    }

    /// <summary>All that the agent logged, to look for what must not be there.</summary>
    private protected sealed class MemoryLog : ILoggerProvider, ILogger
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<string> _lines = new();

        public string Text => string.Join('\n', _lines);

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _lines.Enqueue($"{logLevel} {formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
