using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Options;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;

namespace RenderTrust.Gateway.A2A;

/// <summary>
/// Walks the code of a submission once at start, on a made-up job that goes nowhere: compiling it takes longer than the whole budget of
/// a submission, and the first creator should not be the one to wait for that.
/// </summary>
internal sealed partial class WarmUp(PublicParameters publicParameters, IOptions<A2AGatewayOptions> options, TimeProvider time, ILogger<WarmUp> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var started = time.GetTimestamp();
        var request = Sample(time.GetUtcNow());
        var job = JobMessage.Read(request.Message!, options.Value.MaxInlineBytes) ?? throw new UnreachableException("The sample is a job.");
        await publicParameters.CheckAsync(SampleModule(time.GetUtcNow()), job.Spec.PublicParameters, job.SpecPath, stoppingToken);

        var submission = Copy(new SubmitJobRequest(default, "c", job.Spec, time.GetUtcNow()), WireJson.Options);
        Copy(new SubmitJobResponse(SubmitOutcome.Accepted, default(TaskId), 0, 0, null), WireJson.Options);
        var submitted = new SubmittedJob(default, default, submission.Spec, "c", time.GetUtcNow(), IsNew: true);
        var view = submitted.FirstView();
        var output = new UnitOutput(Guid.Empty, new string('0', 64), 1, new string('0', 64), []);
        var done = new JobEvent(default, default, default, "c", 2, JobEventKind.UnitCompleted, time.GetUtcNow(), new JobEventBody(UnitIndex: 0, Outputs: [output]));
        foreach (var told in view.Apply(Copy(new JobEventPage([done], ""), WireJson.Options).Events[0]))
        {
            Copy(told, A2AJson.Options);
        }

        Copy(StreamResponse.Of(view.Snapshot(null)), A2AJson.Options);
        LogDone(logger, time.GetElapsedTime(started).TotalMilliseconds);
    }

    private static SendMessageRequest Sample(DateTimeOffset now)
    {
        byte[] sealedBytes = [.. SealedFormat.Magic, 0];
        var manifest = new AssetRef(Guid.CreateVersion7(now), Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(sealedBytes)), sealedBytes.Length);
        var spec = new JobSpec(
            new JobId(Guid.CreateVersion7(now)), "sample@1.0.0", manifest, 1, 1, 1, 60, [], [new AssetGrant(manifest.AssetId, "k", new byte[65], new byte[48])],
            JsonSerializer.SerializeToElement(new { quality = 1 }));
        return Copy(
            new SendMessageRequest
            {
                Message = new Message { MessageId = "m", Role = Role.User, Parts = [Part.FromData(spec, MediaTypes.JobSpec, WireJson.Options), Part.FromRaw(sealedBytes, MediaTypes.Sealed)] },
            },
            A2AJson.Options);
    }

    private static ModuleVersion SampleModule(DateTimeOffset now) => Copy(
        new ModuleVersion(
            "sample", "1.0.0", "Sample", "Sample", default, 1, new ModuleRuntime("x", "sha256:" + new string('0', 64), DeviceKind.Cpu, 16, 1, 1, 1, 1),
            JsonDocument.Parse("""{"type":"object","properties":{"quality":{"type":"integer"}}}""").RootElement, null, null, [], [], now),
        WireJson.Options);

    private static T Copy<T>(T value, JsonSerializerOptions json) => JsonSerializer.Deserialize<T>(JsonSerializer.SerializeToUtf8Bytes(value, json), json)!;

    [LoggerMessage(LogLevel.Debug, "The code of a submission was made ready in {Milliseconds} ms")]
    private static partial void LogDone(ILogger logger, double milliseconds);
}
