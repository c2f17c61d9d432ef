using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.Sidecar.PubSub;
using Verdict = Dapr.AppCallback.Autogen.Grpc.v1.TopicEventResponse.Types.TopicEventResponseStatus;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>A subscription whose events go down a call that the app holds open, and whose verdicts come up the same call.</summary>
internal sealed class EventStream(IServerStreamWriter<SubscribeTopicEventsResponseAlpha1> responses) : IEventSink, IDisposable
{
    private static readonly HashSet<string> Fields =
        ["id", "source", "type", "specversion", "datacontenttype", "topic", "pubsubname", "data", "data_base64"];

    private readonly ConcurrentDictionary<string, TaskCompletionSource<DeliveryOutcome>> pending = new();

    // A stream takes one message at a time, and none before the answer to the app's first.
    private readonly SemaphoreSlim writing = new(0, 1);
    private volatile bool isClosed;

    public async Task<DeliveryOutcome> DeliverAsync(RoutedEvent routed, CancellationToken cancellationToken)
    {
        var message = ToMessage(routed);
        var verdict = new TaskCompletionSource<DeliveryOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!pending.TryAdd(message.Id, verdict))
        {
            // The same event is already with the app; its verdict could not be told from this one's.
            return DeliveryOutcome.Retry;
        }

        try
        {
            return await WriteAsync(message, cancellationToken) ? await verdict.Task.WaitAsync(cancellationToken) : DeliveryOutcome.Retry;
        }
        finally
        {
            pending.TryRemove(message.Id, out _);
        }
    }

    /// <summary>Answers the app's first message; events wait for that.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await responses.WriteAsync(new SubscribeTopicEventsResponseAlpha1 { InitialResponse = new SubscribeTopicEventsResponseInitialAlpha1() }, cancellationToken);
        writing.Release();
    }

    /// <summary>Verdicts, until the app ends its side.</summary>
    public async Task ReadAsync(IAsyncStreamReader<SubscribeTopicEventsRequestAlpha1> requests, CancellationToken cancellationToken)
    {
        while (await requests.MoveNext(cancellationToken))
        {
            if (requests.Current.EventProcessed is not { } processed)
            {
                throw new RpcException(new Grpc.Core.Status(StatusCode.InvalidArgument, "duplicate initial request: only the first message of a subscription is one"));
            }

            if (pending.TryGetValue(processed.Id, out var verdict))
            {
                verdict.TrySetResult(processed.Status?.Status switch
                {
                    null or Verdict.Success => DeliveryOutcome.Acknowledge,
                    Verdict.Drop => DeliveryOutcome.Drop,
                    _ => DeliveryOutcome.Retry,
                });
            }
        }
    }

    /// <summary>What has no verdict yet will get none.</summary>
    public void Close()
    {
        isClosed = true;
        foreach (var verdict in pending.Values)
        {
            verdict.TrySetResult(DeliveryOutcome.Retry);
        }
    }

    public void Dispose() => writing.Dispose();

    /// <summary>False when the call has ended: the event stays with the broker.</summary>
    private async Task<bool> WriteAsync(TopicEventRequest message, CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken);
        try
        {
            if (isClosed)
            {
                return false;
            }

            await responses.WriteAsync(new SubscribeTopicEventsResponseAlpha1 { EventMessage = message }, cancellationToken);
            return !isClosed;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException)
        {
            return false;
        }
        finally
        {
            writing.Release();
        }
    }

    private static TopicEventRequest ToMessage(RoutedEvent routed)
    {
        using var document = JsonDocument.Parse(routed.Body);
        var envelope = document.RootElement;
        string Text(string name) => envelope.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        var rest = new Struct();
        foreach (var field in envelope.EnumerateObject().Where(field => !Fields.Contains(field.Name)))
        {
            rest.Fields[field.Name] = ToValue(field.Value);
        }

        return new TopicEventRequest
        {
            Id = Text("id") is { Length: > 0 } id ? id : Guid.CreateVersion7().ToString(),
            Source = Text("source"),
            Type = Text("type"),
            SpecVersion = Text("specversion"),
            DataContentType = Text("datacontenttype"),
            Topic = routed.Message.Topic,
            PubsubName = Text("pubsubname"),
            Data = DataOf(envelope, CloudEvent.MediaType(Text("datacontenttype"))),
            Extensions = rest.Fields.Count == 0 ? null : rest,
        };
    }

    private static Value ToValue(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var map = new Struct();
                foreach (var field in element.EnumerateObject())
                {
                    map.Fields[field.Name] = ToValue(field.Value);
                }

                return Value.ForStruct(map);
            case JsonValueKind.Array:
                return Value.ForList([.. element.EnumerateArray().Select(ToValue)]);
            case JsonValueKind.String:
                return Value.ForString(element.GetString());
            case JsonValueKind.Number:
                return Value.ForNumber(element.GetDouble());
            case JsonValueKind.True or JsonValueKind.False:
                return Value.ForBool(element.GetBoolean());
            default:
                return Value.ForNull();
        }
    }

    private static ByteString DataOf(JsonElement envelope, string mediaType)
    {
        if (envelope.TryGetProperty("data_base64", out var encoded) && encoded.ValueKind == JsonValueKind.String && encoded.TryGetBytesFromBase64(out var bytes))
        {
            return UnsafeByteOperations.UnsafeWrap(bytes);
        }

        if (!envelope.TryGetProperty("data", out var data))
        {
            return ByteString.Empty;
        }

        var isJson = mediaType is "application/json" || mediaType.EndsWith("+json", StringComparison.Ordinal);
        return ByteString.CopyFrom(data.ValueKind == JsonValueKind.String && !isJson ? data.GetString()! : data.GetRawText(), Encoding.UTF8);
    }
}
