using System.Collections.Concurrent;
using System.Diagnostics;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;
using Spectre.Console;

namespace RenderTrust.Cli.Output;

/// <summary>The trace of one command that works on a job: begun here, carried on by the platform, and completed with what this machine did when the command ends.</summary>
internal sealed class CommandTrace : IDisposable
{
    private const int MostSpans = 100;
    private static readonly TimeSpan SendLimit = TimeSpan.FromSeconds(3);
    private const string SourceName = TelemetryNames.SourcePrefix + "Client";
    private static readonly ActivitySource Source = new(SourceName);

    private readonly ConcurrentQueue<Activity> ended = new();
    private readonly IDisposable? otlp = Otlp.Start("client", Environment.GetEnvironmentVariable(Otlp.EndpointVariable));
    private readonly ActivityListener listener;
    private readonly Activity command;

    private CommandTrace(string name)
    {
        listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = ended.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        command = Source.StartActivity(name)!;
    }

    public static CommandTrace Begin(string name) => new(name);

    /// <summary>Ends the command's own span and gives all of them to the job. A trace is help: when it cannot be given, the command has succeeded all the same.</summary>
    public async Task SendAsync(CliContext context, RenderTrustClient client, JobId jobId, CancellationToken cancellationToken)
    {
        command.Stop();
        var spans = ended.Where(activity => activity.TraceId == command.TraceId).TakeLast(MostSpans).Select(activity => new ClientSpan(
            activity.SpanId.ToHexString(), activity.ParentSpanId == default ? null : activity.ParentSpanId.ToHexString(), activity.DisplayName, new DateTimeOffset(activity.StartTimeUtc),
            activity.Duration.TotalMilliseconds, activity.Status == ActivityStatusCode.Error, activity.GetTagItem(TelemetryNames.Bytes) as long?)).ToList();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(SendLimit);
        try
        {
            await client.Jobs.AddSpansAsync(jobId, new ClientSpans(command.TraceId.ToHexString(), spans), limit.Token);
        }
        catch (Exception exception) when (exception is RenderTrustException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            context.Console.WriteLine($"The trace of this job lacks what this machine did: {exception.Message}");
        }
    }

    public void Dispose()
    {
        command.Dispose();
        listener.Dispose();
        otlp?.Dispose();
    }
}
