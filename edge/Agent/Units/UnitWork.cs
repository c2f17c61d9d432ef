using System.Text.Json;
using Microsoft.Extensions.Logging;
using RenderTrust.Agent.Images;
using RenderTrust.Agent.Outbox;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;
using RenderTrust.EdgeProtocol;
using RenderTrust.Sealing;
using RenderTrust.Telemetry;
using Failpoint = RenderTrust.Contracts.Failpoint;

namespace RenderTrust.Agent.Units;

/// <summary>
/// One attempt from lease to stored result: open, run, seal, store. Whatever goes wrong ends in a result with a failure class;
/// only a cancelled attempt leaves none, because its lease is no longer ours.
/// </summary>
internal sealed partial class UnitWork(
    JobCache jobs, IUnitRunner runner, ScratchSpace scratch, ResultOutbox outbox, TimeProvider time, ILogger<UnitWork> logger)
{
    // The hub takes frames of 4 MiB and passes results on as JSON, which is longer.
    private const int ResultBytesMax = 2 << 20;
    private volatile bool _nodeStopping;

    /// <summary>From now on a cancelled attempt is one that this node gives up, and the hub is told.</summary>
    public void StopNode() => _nodeStopping = true;

    public async Task RunAsync(LeaseOffer offer, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var staged = outbox.Stage(offer.AttemptId);
        var trace = UnitTrace.Begin(offer);
        var result = new UnitResult { AttemptId = offer.AttemptId, FencingToken = offer.FencingToken };
        try
        {
            await RunIntoAsync(offer, staged, result, trace, progress, cancellationToken);
        }
        catch (UnitFailedException exception)
        {
            if (exception.InnerException is ImageSourceException cause)
            {
                LogNoImage(offer.AttemptId, exception.Message, cause.Message);
            }

            result.FailureClass = exception.FailureClass.ToWire();
            result.FailureReason = exception.Message;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            if (!_nodeStopping)
            {
                Directory.Delete(staged, recursive: true);
                throw;
            }

            result.FailureClass = FailureClass.Canceled.ToWire();
            result.FailureReason = "The node was shut down while the unit ran.";
        }
        catch (Exception exception)
        {
            // Anything unforeseen is this node's fault and not the job's; the text may quote plaintext, so only its type is told.
            LogUnforeseen(offer.AttemptId, exception.GetType().FullName ?? "exception", exception.StackTrace ?? "");
            result.FailureClass = FailureClass.Internal.ToWire();
            result.FailureReason = $"The node failed inside ({exception.GetType().Name}); its own log tells more.";
        }

        // From here on not the attempt's token: the work is done and must be accounted for, revoked or not.
        trace.End(result);
        Failpoint.Hit("agent.result.beforeStore");
        await outbox.AddAsync(staged, offer.BlobToken, result, CancellationToken.None);
        Failpoint.Hit("agent.result.afterStore");
        LogEnded(offer.AttemptId, offer.UnitIndex, result.Succeeded ? "succeeded" : result.FailureClass, result.MeteredMilliseconds, result.Outputs.Count);
    }

    private async Task RunIntoAsync(LeaseOffer offer, string staged, UnitResult result, UnitTrace trace, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var image = ModuleImage.Parse(offer.Runtime.ImageReference, offer.Runtime.ImageDigest,
            offer.Runtime.RootfsUrl.Length > 0 ? new RootfsTarball(offer.Runtime.RootfsUrl, offer.Runtime.RootfsSha256) : null);

        // The image and the assets come from different places: fetched side by side.
        var preparing = PrepareAsync(image, trace, cancellationToken);
        using var job = await WhenBothAsync(AcquireAsync(offer, trace, cancellationToken), preparing);
        var manifest = job.Workspace.Manifest;
        using var attempt = Reserve(() => scratch.Reserve("attempt-" + offer.AttemptId, 1 << 20));
        var limits = Limits(offer, manifest);
        using var output = Reserve(() => scratch.ReserveWritable("out-" + offer.AttemptId, limits.OutputBytes));
        var unitFile = await WriteUnitFileAsync(offer, manifest, limits, attempt.Path, cancellationToken);

        var run = new UnitRun(offer.AttemptId, image, job.Workspace.InputFolder, unitFile, output, limits, progress);
        var started = time.GetTimestamp();
        UnitRunResult ended;
        try
        {
            Failpoint.Hit("agent.launch.before");
            using var running = trace.Part("run module");
            ended = await runner.RunAsync(run, cancellationToken);
            running.Set(TelemetryNames.Outcome, ended.Exit);
            Failpoint.Hit("agent.launch.afterExit");
        }
        catch (UnitFailedException)
        {
            result.MeteredMilliseconds = 0;
            throw;
        }

        result.MeteredMilliseconds = ended.DeviceMilliseconds;
        LogRan(offer.AttemptId, ended.Exit, ended.ExitCode, (long)time.GetElapsedTime(started).TotalMilliseconds);
        if (ended.Exit == UnitExit.Succeeded)
        {
            using var sealing = trace.Part("seal outputs");
            result.Outputs.Add(await OutputSealer.SealAsync(manifest, offer.Manifest.BlobSha256, output.Path, staged, cancellationToken));
            sealing.Set(TelemetryNames.Count, result.Outputs.Count).Set(TelemetryNames.Bytes, result.Outputs.Sum(sealedFile => sealedFile.SizeBytes));
            if (result.CalculateSize() > ResultBytesMax)
            {
                // Sent as it is, it would end every stream that carries it.
                var files = result.Outputs.Count;
                result.Outputs.Clear();
                throw new UnitFailedException(FailureClass.ModuleFailed, $"{files} output files are too many for this number of output recipients. Let the module pack them, or name fewer recipients.");
            }

            result.Succeeded = true;
            return;
        }

        result.Outputs.Add(await OutputSealer.SealLogAsync(manifest, offer.Manifest.BlobSha256, ended.Log, staged, cancellationToken));
        throw new UnitFailedException(ClassOf(ended.Exit), ended.Explanation);
    }

    private async Task PrepareAsync(ModuleImage image, UnitTrace trace, CancellationToken cancellationToken)
    {
        using var part = trace.Part("prepare image");
        await runner.PrepareAsync(image, cancellationToken);
    }

    private async Task<JobLease> AcquireAsync(LeaseOffer offer, UnitTrace trace, CancellationToken cancellationToken)
    {
        // Short when an earlier unit of the job has opened them.
        using var part = trace.Part("open assets").Set(TelemetryNames.Count, offer.Assets.Count).Set(TelemetryNames.Bytes, offer.Assets.Sum(asset => asset.SizeBytes));
        return await jobs.AcquireAsync(offer, cancellationToken);
    }

    private static async Task<JobLease> WhenBothAsync(Task<JobLease> acquiring, Task preparing)
    {
        try
        {
            await Task.WhenAll(acquiring, preparing);
            return await acquiring;
        }
        catch
        {
            if (acquiring.IsCompletedSuccessfully)
            {
                (await acquiring).Dispose();
            }

            throw;
        }
    }

    private static ScratchFolder Reserve(Func<ScratchFolder> reserve)
    {
        try
        {
            return reserve();
        }
        catch (ScratchFullException exception)
        {
            throw new UnitFailedException(FailureClass.ScratchTooSmall, exception.Message, exception);
        }
    }

    /// <summary>Parameters come from the sealed manifest alone; the platform never sees them.</summary>
    private static async Task<string> WriteUnitFileAsync(LeaseOffer offer, JobManifest manifest, UnitLimits limits, string folder, CancellationToken cancellationToken)
    {
        var file = Path.Combine(folder, "unit.json");
        await File.WriteAllBytesAsync(file, JsonSerializer.SerializeToUtf8Bytes(new
        {
            unitIndex = offer.UnitIndex,
            unitCount = manifest.Units.Count,
            maxSeconds = (int)limits.Wall.TotalSeconds,
            threads = Math.Max(1, (int)limits.CpuCount),
            parameters = manifest.Parameters,
            unitParameters = manifest.Units[offer.UnitIndex].Parameters,
        }), cancellationToken);
        File.SetUnixFileMode(file, Modes.ReadableFile);
        return file;
    }

    private static UnitLimits Limits(LeaseOffer offer, JobManifest manifest) => new(
        (long)offer.Runtime.MemoryMebibytes << 20,
        offer.Runtime.MaxProcesses,
        offer.Runtime.CpuCount,
        (long)offer.Runtime.OutputMebibytes << 20,
        TimeSpan.FromSeconds(Math.Min(offer.MaxUnitDeviceSeconds, manifest.MaxUnitDeviceSeconds)));

    private static FailureClass ClassOf(UnitExit exit) => exit switch
    {
        UnitExit.TimedOut => FailureClass.Timeout,
        UnitExit.OutOfMemory => FailureClass.OutOfMemory,
        _ => FailureClass.ModuleFailed,
    };

    [LoggerMessage(LogLevel.Debug, "Attempt {AttemptId}: the module ended with {Exit} ({ExitCode}) after {Milliseconds} ms")]
    private partial void LogRan(string attemptId, UnitExit exit, int exitCode, long milliseconds);

    [LoggerMessage(LogLevel.Information, "Attempt {AttemptId} of unit {UnitIndex} {Outcome}: {Milliseconds} device ms, {OutputCount} sealed outputs")]
    private partial void LogEnded(string attemptId, int unitIndex, string outcome, long milliseconds, int outputCount);

    [LoggerMessage(LogLevel.Warning, "Attempt {AttemptId} got no image: {Reason} Cause: {Cause}")]
    private partial void LogNoImage(string attemptId, string reason, string cause);

    [LoggerMessage(LogLevel.Error, "Attempt {AttemptId} failed inside the agent with {ExceptionType} at\n{StackTrace}")]
    private partial void LogUnforeseen(string attemptId, string exceptionType, string stackTrace);
}
