using System.Buffers;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>Publishes facts as CloudEvents whose id is the message id, so that a consumer's inbox sees a repeat for what it is.</summary>
public sealed class DaprPublisher(SidecarHttp sidecar, ServiceApp app, TimeProvider time)
{
    private static readonly MediaTypeHeaderValue CloudEvents = new("application/cloudevents+json");

    /// <summary>Returns when the broker has it. Fits the outbox: repeating a publication is safe.</summary>
    public async Task PublishAsync(string component, string topic, Guid messageId, string payloadJson, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"v1.0/publish/{component}/{topic}")
        {
            Content = new ByteArrayContent(Envelope(topic, messageId, payloadJson)) { Headers = { ContentType = CloudEvents } },
        };
        Failpoint.Hit("outbox.publish.before");
        var (response, body) = await sidecar.SendAsync(request, $"Publishing to {component}/{topic}", timeout: null, cancellationToken);
        Failpoint.Hit("outbox.publish.after");
        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw new InvalidOperationException(
                    $"The sidecar refused a message for {component}/{topic} with {(int)response.StatusCode}: {Encoding.UTF8.GetString(body)}. Check that a pub/sub component of that name is in scope of {app.AppId}.");
            }
        }
    }

    private byte[] Envelope(string topic, Guid messageId, string payloadJson)
    {
        var buffer = new ArrayBufferWriter<byte>(payloadJson.Length + 256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("id", messageId);
            writer.WriteString("specversion", "1.0");
            writer.WriteString("type", $"dev.rendertrust.{topic}");
            writer.WriteString("source", app.AppId);
            writer.WriteString("time", time.GetUtcNow());
            writer.WriteString("datacontenttype", "application/json");
            if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity)
            {
                // The extension of CloudEvents for tracing, as Dapr writes and forwards it.
                writer.WriteString("traceparent", activity.Id);
                writer.WriteString("tracestate", activity.TraceStateString ?? "");
            }

            writer.WritePropertyName("data");
            writer.WriteRawValue(payloadJson);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
