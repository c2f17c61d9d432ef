using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace RenderTrust.Sidecar.Tests.Hosts;

/// <summary>A turn whose write the sidecar has acknowledged.</summary>
internal sealed record CounterTurn(string Host, string Actor, long Token, int Value);

/// <summary>What the counters of all hosts did.</summary>
internal sealed class CounterBook
{
    private readonly ConcurrentDictionary<string, long> newest = new();

    public ConcurrentQueue<CounterTurn> Written { get; } = new();

    public ConcurrentQueue<string> Wrong { get; } = new();

    public ConcurrentDictionary<(string Host, string Actor), int> Reminded { get; } = new();

    /// <summary>Turns that a host began after another one had begun turns of the same actor under a newer token.</summary>
    public int Late => late;

    public int Refused => refused;

    private int late;
    private int refused;

    public void Begin(string actor, long token)
    {
        if (newest.AddOrUpdate(actor, token, (_, known) => Math.Max(known, token)) > token)
        {
            Interlocked.Increment(ref late);
        }
    }

    public void Refuse() => Interlocked.Increment(ref refused);
}

/// <summary>Actors that count: each turn reads a number through its own sidecar, adds one and writes it back.</summary>
internal sealed class CounterApp(HostProcess host, RigApp app, CounterBook book) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, int> running = new();
    private readonly HttpClient sidecar = new() { BaseAddress = new Uri(app.Http) };
    private HostedTestApp? web;

    public string Host => host.Name;

    public async Task StartAsync() => web = await HostedTestApp.StartAsync(app.AppPort, routes =>
    {
        routes.MapGet("/dapr/config", () => Results.Text("""{"entities": ["Counter"], "drainOngoingCallTimeout": "5s"}""", "application/json"));
        routes.MapPut("/actors/Counter/{id}/method/increment", IncrementAsync);
        routes.MapPut("/actors/Counter/{id}/method/remind/tick", (string id) =>
        {
            book.Reminded.AddOrUpdate((host.Name, id), 1, static (_, count) => count + 1);
        });
        routes.MapDelete("/actors/Counter/{id}", () => { });
    });

    public async ValueTask DisposeAsync()
    {
        await web!.DisposeAsync();
        sidecar.Dispose();
    }

    private async Task<IResult> IncrementAsync(string id, HttpRequest request)
    {
        var token = long.Parse(request.Headers["rendertrust-actor-token"].ToString());
        book.Begin(id, token);
        if (running.AddOrUpdate(id, 1, static (_, count) => count + 1) > 1)
        {
            book.Wrong.Enqueue($"two turns of {id} ran at once on {host.Name}");
        }

        try
        {
            using var read = await sidecar.GetAsync(new Uri($"/v1.0/actors/Counter/{id}/state/n", UriKind.Relative));
            if (read.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.NoContent))
            {
                book.Refuse();
                return Results.StatusCode(500);
            }

            var value = read.StatusCode == HttpStatusCode.NoContent ? 1 : await read.Content.ReadFromJsonAsync<int>() + 1;
            using var written = await sidecar.PutAsJsonAsync($"/v1.0/actors/Counter/{id}/state", new[] { new { operation = "upsert", request = new { key = "n", value } } });
            if (written.StatusCode != HttpStatusCode.NoContent)
            {
                book.Refuse();
                return Results.StatusCode(500);
            }

            book.Written.Enqueue(new CounterTurn(host.Name, id, token, value));
            return Results.Json(value);
        }
        catch (HttpRequestException)
        {
            // The sidecar has been killed.
            return Results.StatusCode(500);
        }
        finally
        {
            running.AddOrUpdate(id, 0, static (_, count) => count - 1);
        }
    }
}
