using System.Diagnostics;
using System.Globalization;
using RenderTrust.Agent.Images;

namespace RenderTrust.Agent.Running;

/// <summary>
/// Runs a unit as a plain process of this user: no isolation at all. Only for a demo on a machine that offers nothing better,
/// in Development and when asked for by name.
/// </summary>
internal sealed class ProcessRunner(ImageStore images, TimeProvider time) : IUnitRunner
{
    private readonly ProcessLauncher _launcher = new();

    public RunnerCapabilities Capabilities { get; } = new(
        "process", "plain process: NO ISOLATION, a module can read and change everything this user can", EngineRootless: false, LimitsEnforced: false);

    public Task PrepareAsync(ModuleImage image, CancellationToken cancellationToken) => images.UnpackAsync(image, cancellationToken);

    public async Task<UnitRunResult> RunAsync(UnitRun run, CancellationToken cancellationToken)
    {
        var image = await images.UnpackAsync(run.Image, cancellationToken);

        // The module expects /job; here it finds the same tree under RENDERTRUST_JOB.
        var job = Directory.CreateTempSubdirectory("rendertrust-run-");
        try
        {
            Directory.CreateSymbolicLink(Path.Combine(job.FullName, "in"), run.InputFolder);
            Directory.CreateSymbolicLink(Path.Combine(job.FullName, "out"), run.Output.Path);
            File.CreateSymbolicLink(Path.Combine(job.FullName, "unit.json"), run.UnitFile);
            var log = new ModuleLog(run.Progress);
            using var process = await _launcher.StartAsync(Start(image, job.FullName, run.Limits), cancellationToken);
            process.StandardInput.Close();
            var (forced, exitCode, milliseconds) = await SandboxProcess.WaitAsync(process, run, log, time, () => { }, cancellationToken);
            var exit = forced ?? (SandboxProcess.OutputIsFull(run) ? UnitExit.OutputTooLarge : exitCode == 0 ? UnitExit.Succeeded : UnitExit.ModuleFailed);
            return new UnitRunResult(exit, exitCode, milliseconds, Explanations.For(exit, exitCode, run.Limits), log);
        }
        finally
        {
            job.Delete(recursive: true);
        }
    }

    public Task<int> RemoveOrphansAsync(CancellationToken cancellationToken) => Task.FromResult(0);

    public ValueTask DisposeAsync()
    {
        _launcher.Dispose();
        return ValueTask.CompletedTask;
    }

    private static ProcessStartInfo Start(UnpackedImage image, string job, UnitLimits limits)
    {
        var root = image.Rootfs;
        var machine = File.Exists("/lib64/ld-linux-x86-64.so.2") ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
        var start = new ProcessStartInfo("/bin/sh", [
            "-c", "ulimit -d \"$1\"; ulimit -f \"$2\"; shift 2; exec /bin/sh \"$@\"", "process",
            (limits.MemoryBytes / 1024).ToString(CultureInfo.InvariantCulture), (limits.OutputBytes / 512).ToString(CultureInfo.InvariantCulture),
            root + image.Command[0], .. image.Command.Skip(1),
        ])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/tmp",
        };
        start.Environment.Clear();

        // The machine's own tools first: with its own libc they need nothing of the module's.
        start.Environment["PATH"] = $"/usr/bin:/bin:{root}/usr/bin:{root}/bin";
        start.Environment["LD_LIBRARY_PATH"] = $"/lib/{machine}:/usr/lib/{machine}:{root}/lib/{machine}:{root}/usr/lib/{machine}";
        start.Environment["LC_ALL"] = "C";
        start.Environment["RENDERTRUST_JOB"] = job;
        start.Environment["RENDERTRUST_ROOT"] = root;
        return start;
    }
}
