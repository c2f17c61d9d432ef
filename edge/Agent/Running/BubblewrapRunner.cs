using System.Diagnostics;
using System.Globalization;
using RenderTrust.Agent.Images;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Running;

/// <summary>
/// Runs a unit in bubblewrap: own user, process, network, IPC and host name spaces, read-only root, seccomp filter.
/// As root it first steps down to an unprivileged user inside control groups; otherwise limits are per process.
/// </summary>
internal sealed class BubblewrapRunner : IUnitRunner
{
    /// <summary>A user that owns nothing on the machine; outside of the ranges that Debian gives to people and services.</summary>
    private const string SandboxUser = "63321";

    /// <summary>
    /// Root's folders are closed to the sandbox user, so what it may see is bound below a private /tmp first, while still root.
    /// It is put together elsewhere and moved there last, because any of the sources may lie below /tmp.
    /// Arguments: user, root, input, unit file, output, filter, stage, number of control group files, these files, then bubblewrap's own.
    /// </summary>
    private const string LaunchAsRoot = """
        set -eu
        user=$1 root=$2 input=$3 unit=$4 output=$5 filter=$6 stage=$7 groups=$8
        shift 8
        while [ "$groups" -gt 0 ]; do echo $$ > "$1"; shift; groups=$((groups - 1)); done
        exec 9< "$filter"
        mount -t tmpfs -o size=1m,mode=0755 rendertrust "$stage"
        mkdir "$stage/root" "$stage/in" "$stage/out"
        : > "$stage/unit.json"
        mount --bind "$root" "$stage/root"
        mount --bind "$input" "$stage/in"
        mount --bind "$unit" "$stage/unit.json"
        mount --bind "$output" "$stage/out"
        mount --move "$stage" /tmp
        cd /
        exec setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all bwrap "$@"
        """;

    /// <summary>Arguments: limit of writable memory per process in KiB (address space would count what is only reserved), file limit in 512-byte blocks, filter, then bubblewrap's own.</summary>
    private const string LaunchAsUser = """
        set -eu
        ulimit -d "$1"
        ulimit -f "$2"
        exec 9< "$3"
        shift 3
        exec bwrap "$@"
        """;

    private readonly string _node;
    private readonly ImageStore _images;
    private readonly TimeProvider _time;
    private readonly ProcessLauncher _launcher = new();
    private readonly string _filterFile;
    private readonly string _stage;
    private readonly string? _whyNoCgroups;

    public BubblewrapRunner(string node, string stateFolder, ImageStore images, TimeProvider time)
    {
        _node = node;
        _images = images;
        _time = time;
        _whyNoCgroups = Cgroup.WhyNot();
        Directory.CreateDirectory(stateFolder, Modes.Private);
        _filterFile = Path.Combine(stateFolder, "seccomp.bpf");
        _stage = Directory.CreateDirectory(Path.Combine(stateFolder, "stage"), Modes.Private).FullName;
        File.WriteAllBytes(_filterFile, SeccompPolicy.ToBpf());
        Capabilities = new RunnerCapabilities(
            "bubblewrap",
            _whyNoCgroups is null
                ? $"bubblewrap as user {SandboxUser}, seccomp, control groups v{(Cgroup.IsUnified ? 2 : 1)} for memory, processes and CPU"
                : $"bubblewrap, seccomp; memory per process only, processes and CPU NOT limited ({_whyNoCgroups})",
            EngineRootless: true,
            LimitsEnforced: _whyNoCgroups is null);
    }

    public RunnerCapabilities Capabilities { get; }

    /// <summary>Null when bubblewrap works here; otherwise why not and what to do.</summary>
    public static async Task<string?> WhyNotAsync(CancellationToken cancellationToken)
    {
        if (Tools.Find("bwrap") is null)
        {
            return "bwrap is not installed (apt-get install bubblewrap)";
        }

        string[] probe = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "/bin/true"];
        var (exitCode, errors) = Native.IsRoot
            ? await Tools.RunAsync("setpriv", ["--reuid=" + SandboxUser, "--regid=" + SandboxUser, "--clear-groups", "bwrap", .. probe], cancellationToken)
            : await Tools.RunAsync("bwrap", probe, cancellationToken);
        return exitCode == 0
            ? null
            : $"bwrap cannot make a sandbox here ({errors.Trim()}); unprivileged user namespaces may be switched off (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)";
    }

    public Task PrepareAsync(ModuleImage image, CancellationToken cancellationToken) => _images.UnpackAsync(image, cancellationToken);

    public async Task<UnitRunResult> RunAsync(UnitRun run, CancellationToken cancellationToken)
    {
        var image = await _images.UnpackAsync(run.Image, cancellationToken);
        var log = new ModuleLog(run.Progress);
        var group = _whyNoCgroups is null ? Cgroup.Create(_node, run.RunId, run.Limits) : null;
        try
        {
            using var process = await _launcher.StartAsync(group is null ? StartAsUser(run, image) : StartAsRoot(run, image, group), cancellationToken);
            process.StandardInput.Close();
            var (forced, exitCode, milliseconds) = await SandboxProcess.WaitAsync(process, run, log, _time, () => group?.KillAll(), cancellationToken);
            return Judge(run, forced, exitCode, milliseconds, group, log);
        }
        finally
        {
            group?.KillAll();
            group?.Remove();
        }
    }

    public Task<int> RemoveOrphansAsync(CancellationToken cancellationToken) =>
        Task.FromResult(_whyNoCgroups is null ? Cgroup.KillAllOf(_node) : 0);

    public ValueTask DisposeAsync()
    {
        _launcher.Dispose();
        if (_whyNoCgroups is null)
        {
            Cgroup.RemoveNode(_node);
        }

        return ValueTask.CompletedTask;
    }

    private static UnitRunResult Judge(UnitRun run, UnitExit? forced, int exitCode, long milliseconds, Cgroup? group, ModuleLog log)
    {
        var exit = forced
            ?? (group?.WasOutOfMemory() == true ? UnitExit.OutOfMemory
            : SandboxProcess.OutputIsFull(run) ? UnitExit.OutputTooLarge
            : exitCode == 0 ? UnitExit.Succeeded : UnitExit.ModuleFailed);
        return new UnitRunResult(exit, exitCode, milliseconds, Explanations.For(exit, exitCode, run.Limits), log);
    }

    private ProcessStartInfo StartAsRoot(UnitRun run, UnpackedImage image, Cgroup group)
    {
        string[] files = [.. group.ProcessFiles];
        return Start("unshare", [
            "--mount", "--propagation", "private", "/bin/sh", "-c", LaunchAsRoot, "sandbox",
            SandboxUser, image.Rootfs, run.InputFolder, run.UnitFile, run.Output.Path, _filterFile, _stage,
            files.Length.ToString(CultureInfo.InvariantCulture), .. files,
            .. Arguments(run, image, "/tmp/root", "/tmp/in", "/tmp/unit.json", "/tmp/out"),
        ]);
    }

    private ProcessStartInfo StartAsUser(UnitRun run, UnpackedImage image) => Start("/bin/sh", [
        "-c", LaunchAsUser, "sandbox",
        (run.Limits.MemoryBytes / 1024).ToString(CultureInfo.InvariantCulture),
        (run.Limits.OutputBytes / 512).ToString(CultureInfo.InvariantCulture),
        _filterFile,
        .. Arguments(run, image, image.Rootfs, run.InputFolder, run.UnitFile, run.Output.Path),
    ]);

    private static IEnumerable<string> Arguments(UnitRun run, UnpackedImage image, string root, string input, string unit, string output)
    {
        string[] fixedPart =
        [
            "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "unit", "--seccomp", "9",
            "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
            "--size", run.Limits.TemporaryBytes.ToString(CultureInfo.InvariantCulture), "--tmpfs", "/tmp",
            "--ro-bind", input, "/job/in", "--ro-bind", unit, "/job/unit.json", "--bind", output, "/job/out",
            "--clearenv",
        ];
        var environment = image.Environment.Select(pair => pair.Split('=', 2)).SelectMany(pair => (string[])["--setenv", pair[0], pair.Length > 1 ? pair[1] : ""]);
        return [.. fixedPart, .. environment, "--chdir", image.WorkingDirectory, "--", .. image.Command];
    }

    private static ProcessStartInfo Start(string file, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };

        // The agent's own environment may hold secrets; bubblewrap clears it too, but the launcher in between need not see it.
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        return start;
    }
}
