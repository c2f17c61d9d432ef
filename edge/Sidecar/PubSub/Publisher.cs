using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.PubSub;

internal sealed record BulkEntry(string EntryId, ReadOnlyMemory<byte> Event, string ContentType, IReadOnlyDictionary<string, string> Metadata);

/// <summary>Publishing, the same for HTTP and gRPC.</summary>
internal static class Publisher
{
    public static async Task PublishAsync(
        HostedApp app, PubSubComponent pubSub, string topic, string contentType, ReadOnlyMemory<byte> data,
        IReadOnlyDictionary<string, string> metadata, string? traceParent, string? traceState, CancellationToken cancellationToken)
    {
        pubSub.DemandPublish(topic, app.Id);
        var message = CloudEvent.IsRaw(metadata)
            ? data
            : CloudEvent.Wrap(new PublishedEvent(pubSub.Name, topic, app.Id, contentType, data, metadata, traceParent ?? CloudEvent.NewTraceParent(app.Configuration.SamplingRate), traceState), app.Time.GetUtcNow());
        await pubSub.PublishAsync(topic, message, metadata, cancellationToken);
    }

    /// <summary>Each entry stands for itself; the answer names those that failed.</summary>
    public static async Task<IReadOnlyList<(string EntryId, DaprError Error)>> PublishManyAsync(
        HostedApp app, PubSubComponent pubSub, string topic, IReadOnlyList<BulkEntry> entries,
        IReadOnlyDictionary<string, string> metadata, string? traceParent, string? traceState, CancellationToken cancellationToken)
    {
        pubSub.DemandPublish(topic, app.Id);
        if (entries.Select(entry => entry.EntryId).Distinct().Count() != entries.Count)
        {
            throw DaprError.Malformed("an entryId is used twice");
        }

        var failed = new List<(string, DaprError)>();
        foreach (var entry in entries)
        {
            var merged = new Dictionary<string, string>(metadata, StringComparer.OrdinalIgnoreCase);
            foreach (var (name, value) in entry.Metadata)
            {
                merged[name] = value;
            }

            try
            {
                await PublishAsync(app, pubSub, topic, entry.ContentType, entry.Event, merged, traceParent, traceState, cancellationToken);
            }
            catch (DaprError e)
            {
                failed.Add((entry.EntryId, e));
            }
        }

        return failed;
    }
}
