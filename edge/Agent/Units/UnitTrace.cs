using System.Diagnostics;
using System.Globalization;
using RenderTrust.EdgeProtocol;
using RenderTrust.Telemetry;

namespace RenderTrust.Agent.Units;

/// <summary>
/// What this node does for one attempt, as spans that travel with its result: so they survive what the result survives, and reach nobody who does not get
/// that. Empty when the offer carries no trace.
/// </summary>
internal sealed class UnitTrace
{
    private const string SourceName = TelemetryNames.SourcePrefix + "Agent";
    private static readonly ActivitySource Source = Listened();

    private readonly Lock _lock = new();
    private readonly List<Span> _spans = [];
    private readonly Activity? _attempt;

    private UnitTrace(Activity? attempt) => _attempt = attempt;

    public static UnitTrace Begin(LeaseOffer offer) => new(
        ActivityContext.TryParse(offer.TraceParent, null, isRemote: true, out var parent) ? Source.StartActivity("run unit", ActivityKind.Internal, parent) : null);

    /// <summary>A part of the attempt; ends when it is disposed of.</summary>
    public Step Part(string name) => new(_attempt is null ? null : Source.StartActivity(name, ActivityKind.Internal, _attempt.Context), Add);

    /// <summary>Ends the attempt's own span and puts all into its result.</summary>
    public void End(UnitResult result)
    {
        if (_attempt is null)
        {
            return;
        }

        _attempt.SetTag(TelemetryNames.Outcome, result.Succeeded ? "Succeeded" : "Failed");
        if (!result.Succeeded)
        {
            _attempt.SetStatus(ActivityStatusCode.Error).SetTag("error.type", result.FailureClass);
        }

        _attempt.Stop();
        Add(_attempt);
        result.TraceParent = _attempt.Id;
        lock (_lock)
        {
            result.Spans.Add(_spans);
        }
    }

    /// <summary>The way of a stored result's outputs to the hub, perhaps in another life of the agent.</summary>
    public static Step Upload(UnitResult result) => new(
        ActivityContext.TryParse(result.TraceParent, null, isRemote: true, out var parent) ? Source.StartActivity("upload outputs", ActivityKind.Internal, parent) : null,
        activity => result.Spans.Add(ToSpan(activity)));

    private void Add(Activity activity)
    {
        lock (_lock)
        {
            _spans.Add(ToSpan(activity));
        }
    }

    private static Span ToSpan(Activity activity)
    {
        var span = new Span
        {
            SpanId = activity.SpanId.ToHexString(),
            ParentSpanId = activity.ParentSpanId.ToHexString(),
            Name = activity.DisplayName,
            StartedUnixUs = (activity.StartTimeUtc - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond,
            DurationUs = activity.Duration.Ticks / TimeSpan.TicksPerMicrosecond,
            Failed = activity.Status == ActivityStatusCode.Error,
        };
        foreach (var tag in activity.EnumerateTagObjects())
        {
            span.Attributes[tag.Key] = Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "";
        }

        return span;
    }

    /// <summary>Without a listener nothing is recorded. This one, for as long as the process lives, records whatever the offer says is traced.</summary>
    private static ActivitySource Listened()
    {
        ActivitySource.AddActivityListener(new ActivityListener
        {
            ShouldListenTo = source => source.Name == SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded) ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.None,
        });
        return new ActivitySource(SourceName);
    }

    internal sealed class Step(Activity? activity, Action<Activity> ended) : IDisposable
    {
        public Step Set(string name, object value)
        {
            activity?.SetTag(name, value);
            return this;
        }

        public void Fail() => activity?.SetStatus(ActivityStatusCode.Error);

        public void Dispose()
        {
            if (activity is not null)
            {
                activity.Stop();
                ended(activity);
            }
        }
    }
}
