using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Actors;

/// <summary>What follows when the app did not take a reminder: so many tries more, so far apart. Then this tick is given up, and the next one comes as planned.</summary>
/// <param name="RetriesMax">Null for without end; 0 gives the tick up at once.</param>
internal sealed record FailurePolicy(TimeSpan Interval, int? RetriesMax)
{
    public static readonly FailurePolicy Default = new(TimeSpan.FromSeconds(1), 3);
    public static readonly FailurePolicy Drop = new(TimeSpan.Zero, 0);

    /// <summary><c>{"drop":{}}</c> or <c>{"constant":{"interval":"2s","maxRetries":5}}</c>, under either spelling of its names.</summary>
    public static FailurePolicy Read(JsonElement reminder)
    {
        if (Find(reminder, "failure_policy", "failurePolicy") is not { } policy)
        {
            return Default;
        }

        if (Find(policy, "drop", "Drop") is not null)
        {
            return Drop;
        }

        if (Find(policy, "constant", "Constant") is not { ValueKind: JsonValueKind.Object } constant)
        {
            throw DaprError.Malformed("failure_policy has neither drop nor constant: write {\"drop\":{}} or {\"constant\":{\"interval\":\"1s\",\"max_retries\":3}}");
        }

        return new FailurePolicy(ReadInterval(constant), ReadRetries(constant));
    }

    public static FailurePolicy Of(JobFailurePolicy? policy) => policy is null ? Default : policy.PolicyCase switch
    {
        JobFailurePolicy.PolicyOneofCase.Drop => Drop,
        JobFailurePolicy.PolicyOneofCase.Constant => new FailurePolicy(
            policy.Constant.Interval is { } interval ? ToSpan(interval.Seconds, interval.Nanos, policy.Constant.ToString()) : TimeSpan.Zero,
            policy.Constant.HasMaxRetries ? (int)Math.Min(int.MaxValue, policy.Constant.MaxRetries) : null),
        _ => Default,
    };

    private static TimeSpan ReadInterval(JsonElement constant)
    {
        if (Find(constant, "interval", "interval") is not { } interval)
        {
            return TimeSpan.Zero;
        }

        // As text, or as a protobuf duration is taken apart.
        if (interval.ValueKind == JsonValueKind.Object)
        {
            return ToSpan(ReadWhole(interval, "seconds"), ReadWhole(interval, "nanos"), interval.GetRawText());
        }

        return interval.ValueKind == JsonValueKind.String && DaprDuration.TryParseGo(interval.GetString(), out var duration) && duration >= TimeSpan.Zero && duration <= DaprDuration.Longest
            ? duration
            : throw DaprError.Malformed($"failure_policy.constant.interval {interval.GetRawText()} is not a duration: write for example \"2s\"");
    }

    private static long ReadWhole(JsonElement interval, string name) =>
        interval.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var whole) ? whole : 0;

    private static TimeSpan ToSpan(long seconds, long nanos, string given) =>
        Math.Abs((double)seconds) <= DaprDuration.Longest.TotalSeconds && nanos is > -1_000_000_000 and < 1_000_000_000
            ? TimeSpan.FromTicks(Math.Max(0, (seconds * TimeSpan.TicksPerSecond) + (nanos / TimeSpan.NanosecondsPerTick)))
            : throw DaprError.Malformed($"failure_policy.constant.interval {given} is not a duration of at most a hundred years: write for example {{\"seconds\":2,\"nanos\":0}}");

    private static int? ReadRetries(JsonElement constant)
    {
        if (Find(constant, "max_retries", "maxRetries") is not { } retries)
        {
            return null;
        }

        return retries.ValueKind == JsonValueKind.Number && retries.TryGetUInt32(out var count)
            ? (int)Math.Min(int.MaxValue, count)
            : throw DaprError.Malformed($"failure_policy.constant.max_retries {retries.GetRawText()} is not a whole number of 0 or more");
    }

    private static JsonElement? Find(JsonElement parent, string name, string other) =>
        parent.ValueKind == JsonValueKind.Object
        && (parent.TryGetProperty(name, out var value) || parent.TryGetProperty(other, out value))
        && value.ValueKind != JsonValueKind.Null
            ? value
            : null;
}
