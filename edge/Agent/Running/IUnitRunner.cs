using RenderTrust.Agent.Images;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Running;

/// <summary>Runs a module on one unit in isolation. Every implementation passes the same contract tests.</summary>
internal interface IUnitRunner : IAsyncDisposable
{
    RunnerCapabilities Capabilities { get; }

    /// <summary>Makes the image ready, checking its digest. Repeating it is cheap.</summary>
    /// <exception cref="UnitFailedException"><see cref="FailureClass.DigestMismatch"/> when the content is not what the digest says.</exception>
    Task PrepareAsync(ModuleImage image, CancellationToken cancellationToken);

    /// <summary>
    /// Runs the unit to its end. However it ends, nothing of it is left running and its container is gone.
    /// Cancelling kills it, waits until it is dead, then throws <see cref="OperationCanceledException"/>.
    /// </summary>
    Task<UnitRunResult> RunAsync(UnitRun run, CancellationToken cancellationToken);

    /// <summary>Ends what an earlier life of this node left running; answers how many.</summary>
    Task<int> RemoveOrphansAsync(CancellationToken cancellationToken);
}

/// <param name="Name"><c>docker</c>, <c>bubblewrap</c>, <c>process</c> or <c>simulate</c>; goes into the node's capabilities.</param>
/// <param name="Description">For people: which engine, which limits.</param>
/// <param name="LimitsEnforced">Memory, processes and CPU are held by the kernel, proven by a look at the cgroup and not by what an engine echoes.</param>
internal sealed record RunnerCapabilities(string Name, string Description, bool EngineRootless, bool LimitsEnforced);

/// <param name="RunId">Unique per attempt; part of container and cgroup names.</param>
/// <param name="InputFolder">Mounted read-only at <c>/job/in</c>.</param>
/// <param name="UnitFile">Mounted read-only at <c>/job/unit.json</c>.</param>
/// <param name="Output">Mounted writable at <c>/job/out</c>.</param>
internal sealed record UnitRun(
    string RunId, ModuleImage Image, string InputFolder, string UnitFile, ScratchFolder Output, UnitLimits Limits, IProgress<double>? Progress = null);

internal sealed record UnitLimits(long MemoryBytes, int MaxProcesses, double CpuCount, long OutputBytes, TimeSpan Wall)
{
    /// <summary>Of <c>/tmp</c> inside the sandbox; counts towards the memory limit.</summary>
    public long TemporaryBytes { get; init; } = 64L << 20;

    public long MaxFileDescriptors { get; init; } = 1024;
}

internal enum UnitExit
{
    Succeeded,
    ModuleFailed,
    TimedOut,
    OutOfMemory,
    OutputTooLarge,
}

/// <param name="Explanation">No plaintext: exit codes and limits only.</param>
internal sealed record UnitRunResult(UnitExit Exit, int ExitCode, long DeviceMilliseconds, string Explanation, ModuleLog Log);
