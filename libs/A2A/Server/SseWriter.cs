using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace RenderTrust.A2A;

/// <summary>
/// Writes a stream of events: one <c>data:</c> line each, flushed at once. Silence is broken by comments, which every client ignores.
/// One loop writes everything, so that a ping can never land inside an event.
/// </summary>
internal sealed class SseWriter(HttpResponse response, JsonElement id, TimeSpan pingInterval, TimeProvider time)
{
    private static readonly byte[] DataPrefix = "data: "u8.ToArray();
    private static readonly byte[] EventEnd = "\n\n"u8.ToArray();
    private static readonly byte[] Ping = ": ping\n\n"u8.ToArray();

    private readonly PipeWriter _output = response.BodyWriter;

    /// <summary>Sends the event that <paramref name="events"/> stands on and all that follow.</summary>
    public async Task SendAllAsync(IAsyncEnumerator<StreamResponse> events, Action<StreamResponse> flushed, CancellationToken cancellationToken)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";

        using var timer = new PeriodicTimer(pingInterval, time);
        var tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
        Task<bool> next = Task.FromResult(true);
        try
        {
            do
            {
                WriteEvent(events.Current);
                await _output.FlushAsync(cancellationToken);
                flushed(events.Current);

                next = events.MoveNextAsync().AsTask();
                while (await Task.WhenAny(next, tick) == tick)
                {
                    await tick;
                    await _output.WriteAsync(Ping, cancellationToken);
                    tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
                }
            }
            while (await next);
        }
        finally
        {
            // The enumerator cannot be disposed while it moves; the token that ended this loop ends the move as well.
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            timer.Dispose();
            await ((Task)tick).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The last event of a stream that broke off: an error in place of a result.</summary>
    public async Task SendErrorAsync(A2AError error, CancellationToken cancellationToken)
    {
        _output.Write(DataPrefix);
        JsonRpcResponseWriter.WriteError(_output, id, error);
        _output.Write(EventEnd);
        await _output.FlushAsync(cancellationToken);
    }

    private void WriteEvent(StreamResponse streamed)
    {
        _output.Write(DataPrefix);
        JsonRpcResponseWriter.WriteResult(_output, id, streamed);
        _output.Write(EventEnd);
    }
}
