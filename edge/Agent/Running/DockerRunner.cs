using Microsoft.Extensions.Logging;
using System.Globalization;
using Docker.DotNet;
using Docker.DotNet.Models;
using RenderTrust.Agent.Images;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Running;

/// <summary>
/// Runs a unit in a container of an engine's API: image by digest, no network, read-only root, our seccomp profile,
/// no capabilities, no new privileges, memory, process and CPU limits. Nothing the module prints is kept by the engine.
/// </summary>
internal sealed partial class DockerRunner : IUnitRunner
{
    private const string NodeLabel = "rendertrust.node";
    private const string RunLabel = "rendertrust.run";

    /// <summary>A user that owns nothing on the machine; see <see cref="BubblewrapRunner"/>.</summary>
    private const uint SandboxUser = 63321;

    // Removing a container must not be cut short by the unit's own token, but must not wait for ever either.
    private static readonly TimeSpan CleanUpLimit = TimeSpan.FromSeconds(30);

    private readonly DockerEngine _engine;
    private readonly ImageSources _sources;
    private readonly string _node;
    private readonly TimeProvider _time;
    private readonly ILogger<DockerRunner> _logger;
    private readonly string _seccomp;
    private bool _limitsSeen;

    public DockerRunner(DockerEngine engine, ImageSources sources, string node, string stateFolder, TimeProvider time, ILogger<DockerRunner> logger)
    {
        _engine = engine;
        _sources = sources;
        _node = node;
        _time = time;
        _logger = logger;
        _seccomp = SeccompPolicy.ToDockerJson();
        if (engine.Facts.Podman)
        {
            // Podman wants a path on its own machine where docker wants the profile itself.
            Directory.CreateDirectory(stateFolder, Modes.Private);
            var file = Path.Combine(Path.GetFullPath(stateFolder), "seccomp.json");
            File.WriteAllText(file, _seccomp);
            _seccomp = file;
        }

        Capabilities = new RunnerCapabilities(
            "docker",
            $"{engine.Description}; {(engine.Facts.LimitsEnforced ? "limits enforced" : "memory, process and CPU limits NOT enforced by this engine")}",
            engine.Facts.Rootless,
            engine.Facts.LimitsEnforced);
    }

    public RunnerCapabilities Capabilities { get; private set; }

    private DockerClient Docker => _engine.Client;

    public async Task PrepareAsync(ModuleImage image, CancellationToken cancellationToken)
    {
        _sources.Require(image);
        if (await IsPresentAsync(image, cancellationToken))
        {
            return;
        }

        // The engine reports a failed pull as a progress message and the call itself succeeds.
        string? error = null;
        var progress = new SynchronousProgress<JSONMessage>(message => error ??= message.Error?.Message ?? message.ErrorMessage);
        try
        {
            await Docker.Images.CreateImageAsync(new ImagesCreateParameters { FromImage = image.Repository, Tag = image.Digest }, null, progress, cancellationToken);
        }
        catch (DockerApiException exception)
        {
            error = exception.ResponseBody;
        }

        if (error is not null)
        {
            throw PullFailed(image, error);
        }

        if (!await IsPresentAsync(image, cancellationToken))
        {
            throw new UnitFailedException(FailureClass.DigestMismatch, $"The engine pulled {image.Repository} but does not list it under {image.Digest}. Publish the module with the digest that the registry printed.");
        }
    }

    public async Task<UnitRunResult> RunAsync(UnitRun run, CancellationToken cancellationToken)
    {
        await PrepareAsync(run.Image, cancellationToken);
        var log = new ModuleLog(run.Progress);
        var created = await Docker.Containers.CreateContainerAsync(Parameters(run), cancellationToken);
        try
        {
            return await RunCreatedAsync(created.ID, run, log, cancellationToken);
        }
        catch (DockerContainerNotFoundException exception)
        {
            throw new UnitFailedException(FailureClass.Internal, "The unit's container was removed from outside while it ran.", exception);
        }
        finally
        {
            await RemoveAsync(created.ID);
        }
    }

    public async Task<int> RemoveOrphansAsync(CancellationToken cancellationToken)
    {
        var containers = await Docker.Containers.ListContainersAsync(
            new ContainersListParameters
            {
                All = true,
                Filters = new Dictionary<string, IDictionary<string, bool>> { ["label"] = new Dictionary<string, bool> { [$"{NodeLabel}={_node}"] = true } },
            },
            cancellationToken);
        foreach (var container in containers)
        {
            await RemoveAsync(container.ID);
        }

        return containers.Count;
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    private static UnitFailedException PullFailed(ModuleImage image, string error)
    {
        var mismatch = error.Contains("verification failed", StringComparison.OrdinalIgnoreCase)
            || error.Contains("unexpected commit digest", StringComparison.OrdinalIgnoreCase)
            || error.Contains("does not match", StringComparison.OrdinalIgnoreCase)
            || error.Contains("invalid checksum", StringComparison.OrdinalIgnoreCase);
        return mismatch
            ? new UnitFailedException(FailureClass.DigestMismatch, $"The registry's content for {image.Repository} is not what {image.Digest} names. It was changed after publishing: do not run it.", new ImageSourceException(error.Trim()))
            : new UnitFailedException(FailureClass.Internal, $"The module's image {image.Reference} cannot be pulled: push it to that registry, or publish a reference that this node can reach. The node's log has the cause.", new ImageSourceException(error.Trim()));
    }

    private async Task<bool> IsPresentAsync(ModuleImage image, CancellationToken cancellationToken)
    {
        try
        {
            var found = await Docker.Images.InspectImageAsync(image.Reference, cancellationToken);
            if (found.Config?.Volumes is { Count: > 0 })
            {
                // The engine would mount each as a writable folder on its disk: without a size limit, and outside of memory-backed scratch.
                throw new UnitFailedException(FailureClass.ModuleFailed, "The module's image declares volumes, which would let it write to this machine's disk. Build it without VOLUME; /tmp and /job/out are writable.");
            }

            return found.RepoDigests?.Contains(image.Reference) == true;
        }
        catch (DockerImageNotFoundException)
        {
            return false;
        }
    }

    private async Task<UnitRunResult> RunCreatedAsync(string id, UnitRun run, ModuleLog log, CancellationToken cancellationToken)
    {
        // Attached before the start: with the engine's log switched off, what is printed earlier would be lost.
        var streams = await Docker.Containers.AttachContainerAsync(
            id, tty: false, new ContainerAttachParameters { Stream = true, Stdout = true, Stderr = true }, cancellationToken);
#pragma warning disable CA2025 // The pump owns the stream and disposes of it itself.
        var pump = PumpAsync(streams, log);
#pragma warning restore CA2025
        var started = _time.GetTimestamp();
        await Docker.Containers.StartContainerAsync(id, new ContainerStartParameters(), cancellationToken);

        UnitExit? forced = null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var wall = new CancellationTokenSource(run.Limits.Wall, _time);
        await using var wallRegistration = wall.Token.Register(() =>
        {
            forced ??= UnitExit.TimedOut;
            limit.Cancel();
        });
        long exitCode;
        using var ended = new CancellationTokenSource();
        var watch = run.Output.SizeIsEnforced ? Task.CompletedTask : WatchOutputAsync(run, () =>
        {
            forced ??= UnitExit.OutputTooLarge;
            limit.Cancel();
        }, ended.Token);
        try
        {
            await VerifyAsync(id, run, limit.Token);
            exitCode = (await Docker.Containers.WaitContainerAsync(id, limit.Token)).StatusCode;
        }
        catch (OperationCanceledException)
        {
            exitCode = await KillAsync(id);
            if (forced is null)
            {
                throw;
            }
        }
        finally
        {
            await ended.CancelAsync();
            await watch;
        }

        var milliseconds = (long)_time.GetElapsedTime(started).TotalMilliseconds;
        await Task.WhenAny(pump, Task.Delay(TimeSpan.FromSeconds(5), _time, CancellationToken.None));
        return await JudgeAsync(id, run, forced, (int)exitCode, milliseconds, log, cancellationToken);
    }

    private async Task<UnitRunResult> JudgeAsync(
        string id, UnitRun run, UnitExit? forced, int exitCode, long milliseconds, ModuleLog log, CancellationToken cancellationToken)
    {
        var state = (await Docker.Containers.InspectContainerAsync(id, cancellationToken)).State;

        // Podman never sets OOMKilled; a kill that nobody here asked for is then the only sign.
        var outOfMemory = state.OOMKilled || (_engine.Facts.Podman && exitCode == 137);
        var exit = forced
            ?? (outOfMemory ? UnitExit.OutOfMemory
            : SandboxProcess.OutputIsFull(run) ? UnitExit.OutputTooLarge
            : exitCode == 0 ? UnitExit.Succeeded : UnitExit.ModuleFailed);
        return new UnitRunResult(exit, exitCode, milliseconds, Explanations.For(exit, exitCode, run.Limits), log);
    }

    /// <summary>Reads back what the engine made of the request: an engine that dropped a restriction must not run the unit.</summary>
    private async Task VerifyAsync(string id, UnitRun run, CancellationToken cancellationToken)
    {
        var inspected = await Docker.Containers.InspectContainerAsync(id, cancellationToken);
        var host = inspected.HostConfig;
        var dropped = host.NetworkMode != "none" ? "network none"
            : !host.ReadonlyRootfs ? "read-only root"
            : host.Privileged ? "unprivileged"
            : host.Memory != run.Limits.MemoryBytes ? "memory limit"
            : host.PidsLimit != run.Limits.MaxProcesses ? "process limit"
            : host.CapDrop?.Count is null or 0 ? "dropped capabilities"
            : host.SecurityOpt?.Any(option => option.StartsWith("seccomp=", StringComparison.Ordinal)) != true ? "seccomp profile"
            : null;
        if (dropped is not null)
        {
            await KillAsync(id);
            throw new UnitFailedException(FailureClass.Internal, $"The container engine did not apply '{dropped}'; the unit was not run. Use another engine or the bubblewrap runner.");
        }

        if (!_limitsSeen && inspected.State.Running && Cgroup.MemoryLimitOf((int)inspected.State.Pid) is { } seen)
        {
            _limitsSeen = true;
            if (seen > run.Limits.MemoryBytes)
            {
                Capabilities = Capabilities with { LimitsEnforced = false };
                LogNotEnforced(run.RunId, run.Limits.MemoryBytes, seen);
            }
        }
    }

    private async Task<long> KillAsync(string id)
    {
        using var limit = new CancellationTokenSource(CleanUpLimit, _time);
        try
        {
            await Docker.Containers.KillContainerAsync(id, new ContainerKillParameters { Signal = "KILL" }, limit.Token);
        }
        catch (DockerApiException exception) when (exception.StatusCode is System.Net.HttpStatusCode.Conflict)
        {
            // It ended by itself between the decision and the kill.
        }

        var code = (await Docker.Containers.WaitContainerAsync(id, limit.Token)).StatusCode;
        var state = (await Docker.Containers.InspectContainerAsync(id, limit.Token)).State;
        if (state.Running)
        {
            throw new UnitFailedException(FailureClass.Internal, "The engine says that the container still runs after it was killed.");
        }

        return code;
    }

    private async Task RemoveAsync(string id)
    {
        using var limit = new CancellationTokenSource(CleanUpLimit, _time);
        try
        {
            await Docker.Containers.RemoveContainerAsync(id, new ContainerRemoveParameters { Force = true, RemoveVolumes = true }, limit.Token);
        }
        catch (DockerContainerNotFoundException)
        {
            // Gone already, which is what was wanted.
        }
        catch (DockerApiException exception)
        {
            // The next start of this node removes it by its label.
            LogRemoveFailed(id, exception);
        }
    }

    private CreateContainerParameters Parameters(UnitRun run) => new()
    {
        Image = run.Image.Reference,
        Name = "rendertrust-" + run.RunId,
        User = ContainerUser(),
        AttachStdout = true,
        AttachStderr = true,
        NetworkDisabled = true,
        Labels = new Dictionary<string, string> { [NodeLabel] = _node, [RunLabel] = run.RunId },
        HostConfig = new HostConfig
        {
            NetworkMode = "none",
            ReadonlyRootfs = true,
            CapDrop = ["ALL"],
            SecurityOpt = ["no-new-privileges", "seccomp=" + _seccomp],
            Memory = run.Limits.MemoryBytes,
            MemorySwap = run.Limits.MemoryBytes,
            PidsLimit = run.Limits.MaxProcesses,
            NanoCPUs = (long)(Math.Min(run.Limits.CpuCount, Environment.ProcessorCount) * 1_000_000_000),
            IpcMode = "private",
            Tmpfs = new Dictionary<string, string> { ["/tmp"] = string.Create(CultureInfo.InvariantCulture, $"rw,noexec,nosuid,nodev,size={run.Limits.TemporaryBytes}") },
            Mounts =
            [
                new Mount { Type = "bind", Source = run.InputFolder, Target = "/job/in", ReadOnly = true },
                new Mount { Type = "bind", Source = run.UnitFile, Target = "/job/unit.json", ReadOnly = true },
                new Mount { Type = "bind", Source = run.Output.Path, Target = "/job/out" },
            ],
            Ulimits =
            [
                new Ulimit { Name = "nofile", Soft = run.Limits.MaxFileDescriptors, Hard = run.Limits.MaxFileDescriptors },
                new Ulimit { Name = "core", Soft = 0, Hard = 0 },
                new Ulimit { Name = "fsize", Soft = Math.Max(run.Limits.OutputBytes, run.Limits.TemporaryBytes), Hard = Math.Max(run.Limits.OutputBytes, run.Limits.TemporaryBytes) },
            ],

            // Modules may print parts of the scene: the engine must not write that to a disk.
            LogConfig = new LogConfig { Type = "none" },
        },
    };

    // Without root, files in the bound folders belong to this user, so the container has to run as it; rootless engines map it.
    private static string ContainerUser() => Native.IsRoot || Native.UserId == 0
        ? $"{SandboxUser}:{SandboxUser}"
        : $"{Native.UserId}:{Native.GroupId}";

    // Owns the stream: it ends with the container, which may be after the unit's own outcome is known.
    private static async Task PumpAsync(MultiplexedStream streams, ModuleLog log)
    {
        using var owned = streams;
        var buffer = new byte[8192];
        try
        {
            while (true)
            {
                var read = await streams.ReadOutputAsync(buffer, 0, buffer.Length, CancellationToken.None);
                if (read.EOF)
                {
                    return;
                }

                log.Append(buffer.AsSpan(0, read.Count));
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // The engine closes the stream with the container; what was read is kept.
        }
    }

    private async Task WatchOutputAsync(UnitRun run, Action tooLarge, CancellationToken ended)
    {
        try
        {
            while (!ended.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), _time, ended);
                if (SandboxProcess.SizeOf(run.Output.Path) > run.Limits.OutputBytes)
                {
                    tooLarge();
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The container has ended: nothing left to watch.
        }
    }

    [LoggerMessage(LogLevel.Warning, "Run {RunId}: the engine accepted a memory limit of {LimitBytes} bytes but its control group holds {SeenBytes}; limits are not enforced on this machine")]
    private partial void LogNotEnforced(string runId, long limitBytes, long seenBytes);

    [LoggerMessage(LogLevel.Warning, "Container {ContainerId} could not be removed; the next start removes it")]
    private partial void LogRemoveFailed(string containerId, Exception exception);

    /// <summary>Reports in the caller's order, before the call returns; <see cref="Progress{T}"/> would do it later.</summary>
    private sealed class SynchronousProgress<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }
}
