using System.Diagnostics;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>
/// Overflow agents as processes of this machine, each in a session and with a state folder of its own. They outlive this process: after a crash
/// what runs is found again by its folder and counts, so nothing is started twice, and the agent's lock on its folder decides whatever races.
/// </summary>
internal sealed partial class LocalAgents(
    AgentProgram program, PoolDirectory pool, IOptions<OverflowOptions> options, TimeProvider time, ILogger<LocalAgents> logger) : IOverflowCapacity, IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Failures count in a row; an agent that has lived this long was a good start.</summary>
    private static readonly TimeSpan GoodLife = TimeSpan.FromMinutes(1);

    private readonly List<Slot> slots =
    [
        .. Enumerable.Range(1, options.Value.MostAgents).Select(index => new Slot(new AgentFolder(
            $"overflow-{index}",
            Path.Combine(options.Value.Folder, $"overflow-{index}"),
            Path.Combine(options.Value.Folder, $"overflow-{index}.token"),
            Path.Combine(options.Value.Folder, "logs", $"overflow-{index}.log")))),
    ];

    private int failures;
    private string lastFailure = "";
    private DateTimeOffset notBefore;

    public Task<OverflowPoolKey> OpenPoolAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(options.Value.Folder, Private);
        Directory.CreateDirectory(Path.Combine(options.Value.Folder, "logs"), Private);
        return program.MakePoolKeyAsync(cancellationToken);
    }

    public async Task<OverflowAgents> EnsureAsync(int wanted, CancellationToken cancellationToken)
    {
        slots.ForEach(LookAfter);
        var running = slots.Count(slot => slot.IsRunning);
        while (running < wanted && slots.Find(slot => !slot.IsRunning) is { } free)
        {
            if (time.GetUtcNow() < notBefore)
            {
                break;
            }

            try
            {
                await StartAsync(free, cancellationToken);
                running++;
            }
            catch (Exception exception) when (exception is OverflowCapacityException or AppUnavailableException or AppCallException or UnknownOutcomeException or IOException or UnauthorizedAccessException)
            {
                Failed(free, exception.Message);
                break;
            }
        }

        return new OverflowAgents(running, running < wanted && failures > 0 ? $"{lastFailure} ({failures} tries in a row)" : null);
    }

    /// <summary>Forgets the handles only: agents go on, and whoever comes next finds them.</summary>
    public void Dispose() => slots.ForEach(slot => slot.Child?.Dispose());

    /// <summary>Learns what became of an agent: still there, ended as it should, or failed.</summary>
    private void LookAfter(Slot slot)
    {
        if (slot.Folder.IsEnrolled)
        {
            slot.Folder.ForgetToken();
        }

        if (slot.Child is not { HasExited: true } ended)
        {
            return;
        }

        var (code, life) = (ended.ExitCode, time.GetUtcNow() - slot.StartedAt);
        ended.Dispose();
        slot.Child = null;
        LogEnded(logger, slot.Folder.Name, code, life.TotalSeconds);
        if (code == 0 || slot.IsRunning)
        {
            // Idle, or it found another agent on its folder, which then is the one that counts.
            failures = 0;
            return;
        }

        if (life >= GoodLife)
        {
            failures = 0;
        }

        Failed(slot, $"{slot.Folder.Name} ended with exit code {code}: {slot.Folder.LastWords(slot.LogBefore)}");
    }

    private void Failed(Slot slot, string reason)
    {
        failures++;
        lastFailure = reason;
        notBefore = time.GetUtcNow() + OverflowRules.StartPause(failures, options.Value);
        LogFailed(logger, slot.Folder.Name, failures, notBefore, reason);
    }

    private async Task StartAsync(Slot slot, CancellationToken cancellationToken)
    {
        if (!slot.Folder.IsEnrolled)
        {
            slot.Folder.ForgetEnrolment();
            await slot.Folder.WriteTokenAsync(await pool.NewTokenAsync(slot.Folder.Name, cancellationToken), cancellationToken);
        }

        slot.LogBefore = slot.Folder.LogLength;
        Failpoint.Hit("overflow.agent.beforeStart");
        slot.Child = program.StartAgent(slot.Folder);
        Failpoint.Hit("overflow.agent.afterStart");
        slot.StartedAt = time.GetUtcNow();
        LogStarted(logger, slot.Folder.Name, slot.Child.Id);
    }

    private sealed class Slot(AgentFolder folder)
    {
        public AgentFolder Folder { get; } = folder;

        /// <summary>The process that this one started; null for one that was found.</summary>
        public Process? Child { get; set; }

        public DateTimeOffset StartedAt { get; set; }

        public long LogBefore { get; set; }

        public bool IsRunning => Child is { HasExited: false } || Folder.RunningPid() is not null;
    }

    [LoggerMessage(LogLevel.Information, "Overflow agent {Name} was started as process {Pid}")]
    private static partial void LogStarted(ILogger logger, string name, int pid);

    [LoggerMessage(LogLevel.Information, "Overflow agent {Name} ended with exit code {ExitCode} after {Seconds} s")]
    private static partial void LogEnded(ILogger logger, string name, int exitCode, double seconds);

    [LoggerMessage(LogLevel.Warning, "Overflow agent {Name} could not be started ({Failures} tries in a row); not again before {NotBefore}: {Reason}")]
    private static partial void LogFailed(ILogger logger, string name, int failures, DateTimeOffset notBefore, string reason);
}
