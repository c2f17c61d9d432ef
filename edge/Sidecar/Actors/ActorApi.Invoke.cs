using System.Globalization;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.Actors;

internal sealed partial class ActorApi
{
    /// <summary>A call that did not come over HTTP. Apps speak HTTP: the metadata become headers, and of the answer only its body goes back.</summary>
    public async Task<byte[]> InvokeAsync(
        HostedApp app, ActorKey actor, string method, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata,
        string? traceParent, string? traceState, CancellationToken cancellationToken)
    {
        DemandStore(actors.HostOf(actor.Type) ?? app);
        var given = metadata.FirstOrDefault(entry => entry.Key.Equals(ActorRuntime.ReentrancyHeader, StringComparison.OrdinalIgnoreCase)).Value;
        try
        {
            return await actors.CallAsync(
                actor, $"/method/{Uri.EscapeDataString(method)}", string.IsNullOrEmpty(given) ? null : given,
                request => Fill(request, data, metadata, traceParent, traceState),
                async response =>
                {
                    var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);

                    // An actor's own exception is a 200, too: its body is the answer.
                    return response.IsSuccessStatusCode
                        ? body
                        : throw Failed($"error from actor service: ({((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)}) {System.Text.Encoding.UTF8.GetString(body)}");
                },
                cancellationToken, app.Resilience.ForActor(actor.Type));
        }
        catch (Exception e) when (e is TimeoutException or CircuitOpenException)
        {
            throw Failed($"ended by the resiliency policy of actor type {actor.Type}: {e.Message}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Failed($"the app of actor type {actor.Type} does not answer: {e.Message}");
        }
    }

    private static void Fill(
        HttpRequestMessage request, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string> metadata, string? traceParent, string? traceState)
    {
        request.Content = new ReadOnlyMemoryContent(data);
        AppClient.AddTrace(request, traceParent, traceState);
        foreach (var (name, value) in metadata.Where(entry => !IsOurs(entry.Key)))
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }
    }

    private static DaprError Failed(string cause) => new(500, StatusCode.Internal, "ERR_ACTOR_INVOKE_METHOD", $"error invoke actor method: {cause}");

    // What the sidecar itself says, and what belongs to one connection.
    private static bool IsOurs(string header) => header.ToLowerInvariant() is
        PeerHeaders.Secret or PeerHeaders.Callee or PeerHeaders.ActorToken or "dapr-api-token" or "dapr-reentrancy-id" or "traceparent" or "tracestate" or "host" or "content-length" or "connection" or "transfer-encoding" or "te" or "upgrade";
}
