using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Rpc;

internal sealed partial class DaprService
{
    private static StateRequest ToRequest(StateItem item, bool delete) =>
        new(item.Key, delete ? null : item.Value.Memory, Etag(item.Etag), IsFirstWrite(item.Options), item.Metadata.AsReadOnly())
        {
            LastWrite = item.Options?.Concurrency == StateOptions.Types.StateConcurrency.ConcurrencyLastWrite,
            IsJson = !delete && IsJson(item),
        };

    // The client sends an empty etag where it has none.
    private static string? Etag(Etag? etag) => string.IsNullOrEmpty(etag?.Value) ? null : etag.Value;

    private static bool IsFirstWrite(StateOptions? options) => options?.Concurrency == StateOptions.Types.StateConcurrency.ConcurrencyFirstWrite;

    // Some SDKs say so of what they serialise; without it the value is bytes.
    private static bool IsJson(StateItem item)
    {
        if (item.Metadata.GetValueOrDefault("contentType") != "application/json")
        {
            return false;
        }

        try
        {
            using var parsed = JsonDocument.Parse(item.Value.Memory);
            return true;
        }
        catch (JsonException e)
        {
            throw DaprError.Malformed($"the value of {item.Key} is not the JSON that its contentType says: {e.Message}");
        }
    }
}
