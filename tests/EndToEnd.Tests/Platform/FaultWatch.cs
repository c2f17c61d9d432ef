using System.Collections.Concurrent;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>Notes every answer of 5xx, whoever caused it: a caller's mistake must never be one.</summary>
internal sealed class FaultWatch(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    private readonly ConcurrentQueue<string> _faults = new();

    public IReadOnlyCollection<string> Faults => _faults;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if ((int)response.StatusCode >= 500)
        {
            await response.Content.LoadIntoBufferAsync(cancellationToken);
            _faults.Enqueue($"{request.Method} {request.RequestUri} was answered with {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }

        return response;
    }
}
