using System.Reflection;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Enrollment;
using RenderTrust.Agent.Images;
using RenderTrust.Agent.Outbox;
using RenderTrust.Agent.Relay;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;
using RenderTrust.Agent.Units;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Hosting;

/// <param name="Development"><c>RENDERTRUST_ENVIRONMENT=Development</c>.</param>
/// <param name="DockerHost"><c>DOCKER_HOST</c>.</param>
internal sealed record NodeEnvironment(bool Development, string? DockerHost);

/// <summary>Puts one node together and runs it until it is told to stop.</summary>
internal sealed partial class NodeHost(IOptions<AgentOptions> options, NodeEnvironment environment, TimeProvider time, ILoggerFactory loggers)
{
    private static readonly TimeSpan IdleCheckInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(3);

    private readonly ILogger _logger = loggers.CreateLogger<NodeHost>();

    /// <param name="enrolFirst">Enrols the node under the same lock unless it is enrolled: two starters of one folder ask once.</param>
    public async Task RunAsync(EnrolCommand? enrolFirst, CancellationToken cancellationToken)
    {
        var settings = options.Value;
        if (enrolFirst is not null)
        {
            Directory.CreateDirectory(settings.StateFolder, Modes.Private);
        }

        using var only = StateLock.Take(settings.StateFolder);
        if (enrolFirst is not null)
        {
            await EnrolNode.RunAsync(enrolFirst, cancellationToken);
        }

        using var identity = NodeIdentity.Load(new IdentityFiles(settings.StateFolder));
        var node = identity.Node.NodeId.ToString();
        var scratch = ScratchSpace.Open(settings.ScratchFolder, node, settings.EffectiveScratchBytes);
        try
        {
            await RunNodeAsync(settings, identity, scratch, cancellationToken);
        }
        finally
        {
            ScratchSpace.Wipe(scratch.Root);
        }
    }

    private async Task RunNodeAsync(AgentOptions settings, NodeIdentity identity, ScratchSpace scratch, CancellationToken cancellationToken)
    {
        var node = identity.Node.NodeId.ToString();
        using var images = new ImageStore(Path.Combine(Path.GetFullPath(settings.StateFolder), "images"), new ImageSources(settings.Registries, environment.Development), ImageStore.Client());
        var chosen = await RunnerChoice.ChooseAsync(
            new RunnerRequest(
                settings.Runner, node, identity.Node.Name, Path.GetFullPath(settings.StateFolder), environment.DockerHost, environment.Development,
                AllowPlainProcess: settings.Runner == "process" || settings.AllowPlainProcess, TimeSpan.FromMilliseconds(settings.SimulatedMilliseconds)),
            images, time, loggers, cancellationToken);
        await using var runner = chosen.Runner;
        Announce(identity, chosen, settings);
        if (await runner.RemoveOrphansAsync(cancellationToken) is > 0 and var orphans)
        {
            LogOrphans(orphans);
        }

        var hub = new Uri(settings.HubUrl.Length > 0 ? settings.HubUrl : identity.Node.HubUrl);
        using var channel = GrpcChannel.ForAddress(hub, new GrpcChannelOptions
        {
            HttpHandler = HubConnection.Handler(identity),
            DisposeHttpClient = true,
            MaxReceiveMessageSize = 16 << 20,
            MaxSendMessageSize = 16 << 20,
        });
        using var http = new HttpClient(HubConnection.Handler(identity)) { BaseAddress = hub, Timeout = Timeout.InfiniteTimeSpan };
        var blobs = new BlobClient(http, options, time);
        var outbox = new ResultOutbox(settings.StateFolder);
        var opener = new JobOpener(blobs, identity.EncryptionKey, scratch);
        await using var jobs = new JobCache(opener.OpenAsync, TimeSpan.FromSeconds(settings.JobCacheIdleSeconds), time);
        var work = new UnitWork(jobs, runner, scratch, outbox, time, loggers.CreateLogger<UnitWork>());
        HubLink? link = null;
        var attempts = new AttemptTable(settings.EffectiveSlots, work.RunAsync, outbox.Announce, progress => link?.Report(progress), time, loggers.CreateLogger<AttemptTable>());
        var delivery = new ResultDelivery(outbox, blobs, options, time, loggers.CreateLogger<ResultDelivery>());
        link = new HubLink(channel, attempts, delivery, Describe(settings, runner.Capabilities), options, time, loggers);

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var wiping = WipeIdleAsync(jobs, ending.Token);
        using var linkStop = new CancellationTokenSource();
        var linked = link.RunAsync(linkStop.Token);
        var end = await new IdleEnd(attempts, outbox, link, settings, time).WaitAsync(cancellationToken);
        await ending.CancelAsync();

        // Units are given up while the hub can still be told; what it does not hear in time waits in the outbox.
        work.StopNode();
        await attempts.CloseAsync();
        await DrainAsync(outbox);
        await linkStop.CancelAsync();
        await linked;
        await wiping;
        if (end == NodeEnd.NeverConnected)
        {
            throw new NodeStartException(
                $"The hub {hub} did not take this node within {settings.FirstSessionSeconds} s; the log says why each try failed. Check that the hub runs, or raise Agent:FirstSessionSeconds.");
        }

        LogStopped(identity.Node.NodeId.Value, end);
    }

    private async Task WipeIdleAsync(JobCache jobs, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(IdleCheckInterval, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            jobs.WipeIdle();
        }
    }

    private async Task DrainAsync(ResultOutbox outbox)
    {
        var started = time.GetTimestamp();
        while (outbox.Entries.Count > 0 && time.GetElapsedTime(started) < DrainLimit)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), time, CancellationToken.None);
        }
    }

    private static Capabilities Describe(AgentOptions settings, RunnerCapabilities runner) => new()
    {
        Gpu = settings.Gpu,
        Slots = settings.EffectiveSlots,
        CpuCount = Environment.ProcessorCount,
        MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        ScratchBytes = settings.EffectiveScratchBytes,
        Runner = runner.Name,
        EngineRootless = runner.EngineRootless,
        LimitsEnforced = runner.LimitsEnforced,
        AgentVersion = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3) ?? "0.0.0",
    };

    private void Announce(NodeIdentity identity, ChosenRunner chosen, AgentOptions settings)
    {
        LogNode(identity.Node.NodeId.Value, identity.Node.Name, settings.EffectiveSlots, settings.EffectiveScratchBytes >> 20);
        LogRunner(chosen.Runner.Capabilities.Name, chosen.Runner.Capabilities.Description);
        foreach (var reason in chosen.StrongerButUnavailable)
        {
            LogWhyNotStronger(reason);
        }

        if (chosen.Runner.Capabilities.Name == "process")
        {
            LogNoIsolation();
        }
    }

    [LoggerMessage(LogLevel.Information, "Node {NodeId} ({Name}): {Slots} slots, {ScratchMebibytes} MiB of memory-backed scratch")]
    private partial void LogNode(Guid nodeId, string name, int slots, long scratchMebibytes);

    [LoggerMessage(LogLevel.Information, "Runner {Runner}: {Description}")]
    private partial void LogRunner(string runner, string description);

    [LoggerMessage(LogLevel.Information, "Why not a stronger runner: {Reason}")]
    private partial void LogWhyNotStronger(string reason);

    [LoggerMessage(LogLevel.Warning, "NO ISOLATION: modules run as plain processes and can read and change everything that this user can. Never take jobs of strangers like this; install docker.io or bubblewrap")]
    private partial void LogNoIsolation();

    [LoggerMessage(LogLevel.Warning, "Removed {Count} containers or processes that an earlier life left running")]
    private partial void LogOrphans(int count);

    [LoggerMessage(LogLevel.Information, "Node {NodeId} has stopped ({End}); undelivered results wait in the outbox")]
    private partial void LogStopped(Guid nodeId, NodeEnd end);
}
