using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RenderTrust.A2A;

/// <summary>Writes response envelopes, always on one line: the event stream depends on it.</summary>
internal static class JsonRpcResponseWriter
{
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void WriteResult<T>(IBufferWriter<byte> output, JsonElement id, T result)
    {
        using var writer = Begin(output, id);
        writer.WritePropertyName("result"u8);
        JsonSerializer.Serialize(writer, result, A2AJson.Options);
        writer.WriteEndObject();
    }

    public static void WriteError(IBufferWriter<byte> output, JsonElement id, A2AError error)
    {
        using var writer = Begin(output, id);
        writer.WriteStartObject("error"u8);
        writer.WriteNumber("code"u8, error.Code);
        writer.WriteString("message"u8, error.Message);
        if (error.Data.Count > 0)
        {
            writer.WriteStartArray("data"u8);
            foreach (var detail in error.Data)
            {
                detail.WriteTo(writer);
            }

            writer.WriteEndArray();
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static Utf8JsonWriter Begin(IBufferWriter<byte> output, JsonElement id)
    {
        var writer = new Utf8JsonWriter(output, WriterOptions);
        writer.WriteStartObject();
        writer.WriteString("jsonrpc"u8, "2.0"u8);
        writer.WritePropertyName("id"u8);
        if (id.ValueKind is JsonValueKind.Undefined)
        {
            writer.WriteNullValue();
        }
        else
        {
            id.WriteTo(writer);
        }

        return writer;
    }
}
