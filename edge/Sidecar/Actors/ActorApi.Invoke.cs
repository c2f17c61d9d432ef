using System.Globalization;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Actors;

internal sealed partial class ActorApi
{
    /// <summary>A call that did not come over HTTP. Apps speak HTTP: the metadata become headers, and of the answer only its body goes back.</summary>
    public async Task<byte[]> InvokeAsync(
        HostedApp app, ActorKey actor, string method, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata,
        string? traceParent, string? traceState, CancellationToken cancellationToken)
    {
        DemandStore(actors.HostOf(actor.Type) ?? app);
        var given = metadata.FirstOrDefault(entry => entry.Key.Equals(ReentrancyHeader, StringComparison.OrdinalIgnoreCase)).Value;
        using var turn = await actors.EnterAsync(actor, string.IsNullOrEmpty(given) ? null : given, cancellationToken);
        using var request = client.NewRequest(turn.Instance.App, HttpMethod.Put, $"{actor.Path}/method/{Uri.EscapeDataString(method)}");
        request.Content = new ReadOnlyMemoryContent(data);
        AppClient.AddTrace(request, traceParent, traceState);
        foreach (var (name, value) in metadata.Where(entry => !IsOurs(entry.Key)))
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        if (turn.ReentrancyId is { } id)
        {
            request.Headers.TryAddWithoutValidation(ReentrancyHeader, id);
        }

        try
        {
            using var response = await client.SendAsync(request, cancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);

            // An actor's own exception is a 200, too: its body is the answer.
            return response.IsSuccessStatusCode
                ? body
                : throw Failed($"error from actor service: ({((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)}) {System.Text.Encoding.UTF8.GetString(body)}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Failed($"the app {turn.Instance.App.Id} does not answer at {turn.Instance.App.Address}: {e.Message}");
        }
    }

    private static DaprError Failed(string cause) => new(500, StatusCode.Internal, "ERR_ACTOR_INVOKE_METHOD", $"error invoke actor method: {cause}");

    // What the sidecar itself says, and what belongs to one connection.
    private static bool IsOurs(string header) => header.ToLowerInvariant() is
        "dapr-api-token" or "dapr-reentrancy-id" or "traceparent" or "tracestate" or "host" or "content-length" or "connection" or "transfer-encoding" or "te" or "upgrade";
}
