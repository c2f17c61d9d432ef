using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>What one publish call says about its event.</summary>
internal sealed record PublishedEvent(
    string PubSub, string Topic, string Source, string ContentType, ReadOnlyMemory<byte> Data,
    IReadOnlyDictionary<string, string> Metadata, string? TraceParent, string? TraceState);

/// <summary>CloudEvents 1.0 envelopes with daprd's keys and rules.</summary>
internal static class CloudEvent
{
    public const string EnvelopeContentType = "application/cloudevents+json";
    private const string SpecVersion = "1.0";
    private const string EventType = "com.dapr.event.sent";

    // Unescaped, so that text in events stays readable in the broker; the JSON is never put into HTML.
    private static readonly JsonWriterOptions Readable = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static bool IsRaw(IReadOnlyDictionary<string, string> metadata) =>
        metadata.TryGetValue("rawPayload", out var raw) && raw.Equals("true", StringComparison.OrdinalIgnoreCase);

    public static byte[] Wrap(PublishedEvent published, DateTimeOffset now)
    {
        var traceParent = published.TraceParent ?? NewTraceParent();
        return MediaType(published.ContentType) == EnvelopeContentType
            ? Complete(published, traceParent, now)
            : Build(published, traceParent, now);
    }

    /// <summary>The envelope for a subscriber of raw messages, made at delivery.</summary>
    public static byte[] WrapRaw(string pubSub, string topic, ReadOnlyMemory<byte> data, DateTimeOffset now) => Write(writer =>
    {
        writer.WriteString("id", Guid.CreateVersion7());
        writer.WriteString("specversion", SpecVersion);
        writer.WriteString("type", EventType);
        writer.WriteString("source", "");
        writer.WriteString("datacontenttype", "application/octet-stream");
        writer.WriteString("topic", topic);
        writer.WriteString("pubsubname", pubSub);
        writer.WriteString("time", State.StateHttp.Rfc3339(now));
        writer.WriteBase64String("data_base64", data.Span);
    });

    /// <param name="samplingRate">Share of the new traces that are marked as sampled.</param>
    public static string NewTraceParent(double samplingRate = 1) =>
        $"00-{ActivityTraceId.CreateRandom().ToHexString()}-{ActivitySpanId.CreateRandom().ToHexString()}-{(samplingRate >= 1 || Random.Shared.NextDouble() < samplingRate ? "01" : "00")}";

    private static byte[] Build(PublishedEvent published, string traceParent, DateTimeOffset now) => Write(writer =>
    {
        var metadata = published.Metadata;
        writer.WriteString("id", metadata.GetValueOrDefault("cloudevent.id") ?? Guid.CreateVersion7().ToString());
        writer.WriteString("specversion", SpecVersion);
        writer.WriteString("type", metadata.GetValueOrDefault("cloudevent.type") ?? EventType);
        writer.WriteString("source", metadata.GetValueOrDefault("cloudevent.source") ?? published.Source);
        if (metadata.GetValueOrDefault("cloudevent.subject") is { } subject)
        {
            writer.WriteString("subject", subject);
        }

        writer.WriteString("topic", published.Topic);
        writer.WriteString("pubsubname", published.PubSub);
        writer.WriteString("datacontenttype", published.ContentType.Length == 0 ? "text/plain" : published.ContentType);
        writer.WriteString("time", State.StateHttp.Rfc3339(now));
        var trace = metadata.GetValueOrDefault("cloudevent.traceparent") ?? traceParent;
        writer.WriteString("traceid", metadata.GetValueOrDefault("cloudevent.traceid") ?? trace);
        writer.WriteString("traceparent", trace);
        writer.WriteString("tracestate", metadata.GetValueOrDefault("cloudevent.tracestate") ?? published.TraceState ?? "");
        if (Expiration(metadata, now) is { } expiration)
        {
            writer.WriteString("expiration", expiration);
        }

        WriteData(writer, MediaType(published.ContentType), published.Data);
    });

    private static void WriteData(Utf8JsonWriter writer, string mediaType, ReadOnlyMemory<byte> data)
    {
        if (mediaType is "application/octet-stream" or "application/cloudevents+protobuf")
        {
            writer.WriteBase64String("data_base64", data.Span);
            return;
        }

        writer.WritePropertyName("data");
        if (IsJson(mediaType) && Api.StrictJson.IsValid(data))
        {
            writer.WriteRawValue(data.Span, skipInputValidation: true);
            return;
        }

        writer.WriteStringValue(Encoding.UTF8.GetString(data.Span));
    }

    private static byte[] Complete(PublishedEvent published, string traceParent, DateTimeOffset now)
    {
        JsonObject envelope;
        try
        {
            using var strict = Api.StrictJson.Parse(published.Data);
            envelope = Fields(strict.RootElement);
        }
        catch (JsonException e)
        {
            throw new Api.DaprError(400, Grpc.Core.StatusCode.InvalidArgument, "ERR_PUBSUB_CLOUD_EVENTS_SER",
                $"cannot read the CloudEvent for topic {published.Topic} of pubsub {published.PubSub}: {e.Message}");
        }

        var metadata = published.Metadata;
        Override("id");
        Override("source");
        Override("type");
        Override("subject");
        Override("traceparent");
        Override("traceid");
        Override("tracestate");
        Default("source", published.Source);
        Default("type", EventType);
        Default("specversion", SpecVersion);
        Default("time", State.StateHttp.Rfc3339(now));
        Default("traceparent", metadata.GetValueOrDefault("cloudevent.traceparent") ?? traceParent);
        Default("traceid", metadata.GetValueOrDefault("cloudevent.traceid") ?? TextOf(envelope["traceparent"]) ?? traceParent);
        Default("tracestate", metadata.GetValueOrDefault("cloudevent.tracestate") ?? published.TraceState ?? "");
        envelope["topic"] = published.Topic;
        envelope["pubsubname"] = published.PubSub;
        if (Expiration(metadata, now) is { } expiration)
        {
            envelope["expiration"] = expiration;
        }

        return Encoding.UTF8.GetBytes(envelope.ToJsonString(new JsonSerializerOptions { Encoder = Readable.Encoder }));

        void Override(string key)
        {
            if (metadata.GetValueOrDefault("cloudevent." + key) is { } value)
            {
                envelope[key] = value;
            }
        }

        void Default(string key, string value)
        {
            if (!envelope.ContainsKey(key))
            {
                envelope[key] = value;
            }
        }
    }

    // Of a field that is there twice the last one counts, as everywhere else.
    private static JsonObject Fields(JsonElement given)
    {
        if (given.ValueKind != JsonValueKind.Object)
        {
            throw Api.DaprError.Malformed("a CloudEvent must be a JSON object");
        }

        var fields = new JsonObject();
        foreach (var field in given.EnumerateObject())
        {
            fields[field.Name] = JsonNode.Parse(field.Value.GetRawText());
        }

        return fields;
    }

    private static string? TextOf(JsonNode? field) => field?.GetValueKind() == JsonValueKind.String ? field.GetValue<string>() : null;

    // No broker here expires messages by itself, so the envelope carries the moment and delivery checks it.
    private static string? Expiration(IReadOnlyDictionary<string, string> metadata, DateTimeOffset now)
    {
        if (!metadata.TryGetValue("ttlInSeconds", out var text))
        {
            return null;
        }

        return long.TryParse(text, out var seconds) && seconds > 0 && seconds < (DateTimeOffset.MaxValue - now).TotalSeconds
            ? State.StateHttp.Rfc3339(now.AddSeconds(seconds))
            : throw Api.DaprError.Malformed($"ttlInSeconds '{text}' is not valid: write a number of seconds above 0");
    }

    public static string MediaType(string contentType)
    {
        var end = contentType.IndexOf(';', StringComparison.Ordinal);
        return (end < 0 ? contentType : contentType[..end]).Trim().ToLowerInvariant();
    }

    private static bool IsJson(string mediaType) =>
        mediaType is "application/json" || mediaType.EndsWith("+json", StringComparison.Ordinal);

    private static byte[] Write(Action<Utf8JsonWriter> fields)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, Readable))
        {
            writer.WriteStartObject();
            fields(writer);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
