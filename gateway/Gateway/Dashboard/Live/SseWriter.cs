using System.Text;

namespace RenderTrust.Gateway.Dashboard.Live;

/// <summary>Writes server-sent events. Data is one line: JSON as this platform writes it has no line breaks.</summary>
internal sealed class SseWriter(HttpResponse response)
{
    public void Begin()
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        // For proxies that would hold small writes back.
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <param name="id">What a browser sends back as Last-Event-ID; null leaves the last one standing.</param>
    public Task WriteAsync(string name, string data, string? id, CancellationToken cancellationToken) =>
        SendAsync((id is null ? "" : $"id: {id}\n") + $"event: {name}\ndata: {data}\n\n", cancellationToken);

    /// <summary>A sign of life that also moves the browser's place on: by the standard, an id without data does so and is no event.</summary>
    public Task BeatAsync(string id, CancellationToken cancellationToken) => SendAsync($"id: {id}\n\n", cancellationToken);

    private async Task SendAsync(string text, CancellationToken cancellationToken)
    {
        await response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
    }
}
