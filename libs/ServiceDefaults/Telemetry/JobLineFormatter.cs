using System.Diagnostics;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults;

/// <summary>
/// A log line as one JSON object, the framework's own form with two members more: <c>traceId</c> of what is under way, and <c>jobId</c> wherever a job is
/// worked on, whoever wrote the line. So <c>grep '"jobId":"…"' *.log</c> is a job's story over all services.
/// </summary>
internal sealed class JobLineFormatter(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "rendertrust";
    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var message = logEntry.Formatter(logEntry.State, logEntry.Exception);
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Json))
        {
            json.WriteStartObject();
            json.WriteString("Timestamp", time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            json.WriteString("LogLevel", logEntry.LogLevel.ToString());
            json.WriteString("Category", logEntry.Category);
            var values = logEntry.State as IReadOnlyList<KeyValuePair<string, object?>> ?? [];
            WriteTrace(json, values);
            json.WriteString("Message", message);
            if (logEntry.Exception is { } exception)
            {
                json.WriteString("Exception", exception.ToString());
            }

            WriteValues(json, "State", values);
            WriteScopes(json, scopeProvider);
            json.WriteEndObject();
        }

        textWriter.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    private static void WriteTrace(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        // The job as its creator calls it; a line without a trace may still name one.
        var job = JobMark.Current is { } mark ? mark.JobId.ToString("D") : values.FirstOrDefault(value => value.Key == "JobId").Value?.ToString();
        if (job is not null)
        {
            json.WriteString("jobId", job);
        }

        if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity)
        {
            json.WriteString("traceId", activity.TraceId.ToHexString());
        }
    }

    private static void WriteValues(Utf8JsonWriter json, string name, IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        json.WriteStartObject(name);
        foreach (var (key, value) in values)
        {
            switch (value)
            {
                case bool flag:
                    json.WriteBoolean(key, flag);
                    break;
                case int or long or short or byte:
                    json.WriteNumber(key, Convert.ToInt64(value, CultureInfo.InvariantCulture));
                    break;
                case double number when double.IsFinite(number):
                    json.WriteNumber(key, number);
                    break;
                default:
                    json.WriteString(key, Convert.ToString(value, CultureInfo.InvariantCulture));
                    break;
            }
        }

        json.WriteEndObject();
    }

    private static void WriteScopes(Utf8JsonWriter json, IExternalScopeProvider? scopes)
    {
        if (scopes is null)
        {
            return;
        }

        json.WriteStartArray("Scopes");
        scopes.ForEachScope(
            (scope, writer) =>
            {
                if (scope is IReadOnlyList<KeyValuePair<string, object?>> values)
                {
                    writer.WriteStartObject();
                    writer.WriteString("Message", scope.ToString());
                    foreach (var (key, value) in values)
                    {
                        writer.WriteString(key, Convert.ToString(value, CultureInfo.InvariantCulture));
                    }

                    writer.WriteEndObject();
                }
                else
                {
                    writer.WriteStringValue(scope?.ToString());
                }
            },
            json);
        json.WriteEndArray();
    }
}
