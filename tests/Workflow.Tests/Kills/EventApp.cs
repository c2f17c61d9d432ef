using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RenderTrust.Workflow.Tests.EndToEnd;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>
/// An app that hears events of two brokers and reminders of its actors, and the clients that publish and set them through the same
/// sidecar. What the sidecar has acknowledged must be heard, however often it is killed.
/// </summary>
internal sealed class EventApp : IAsyncDisposable
{
    private const int Actors = 20;
    private static readonly string[] Kinds = ["redis", "rabbit", "reminder"];
    private static readonly TimeSpan TryLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

    private readonly WebApplication web;
    private readonly HttpClient sidecar;
    private readonly ConcurrentDictionary<(string Kind, int Id), bool> acknowledged = new();
    private readonly ConcurrentDictionary<(string Kind, int Id), int> heard = new();

    private EventApp(WebApplication web, HttpClient sidecar) => (this.web, this.sidecar) = (web, sidecar);

    /// <summary>Acknowledged, and not heard so far.</summary>
    public IEnumerable<(string Kind, int Id)> Missing => acknowledged.Keys.Where(one => !heard.ContainsKey(one));

    public bool HasHeardOfAll => Array.TrueForAll(Kinds, kind => acknowledged.Keys.Count(one => one.Kind == kind) >= 10);

    public static async Task<EventApp> StartAsync(SidecarProcess sidecar)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, sidecar.EventAppPort));
        var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{sidecar.Event.Http}"), Timeout = TryLimit };
        client.DefaultRequestHeaders.Add("dapr-api-token", sidecar.ApiToken);
        var app = new EventApp(builder.Build(), client);
        app.Map();
        await app.web.StartAsync();

        // Before its queue is there a fanout exchange keeps nothing, whatever it acknowledges.
        await Wait.UntilAsync("the app has its subscriptions", async () =>
        {
            using var answer = await client.GetAsync(new Uri("/v1.0/healthz", UriKind.Relative));
            return answer.StatusCode == HttpStatusCode.NoContent;
        }, () => sidecar.Output, KillRig.BackLimit);
        return app;
    }

    public Task RunAsync(int seed, CancellationToken stop, CancellationToken cancellationToken) => Task.WhenAll(Kinds.Select((kind, index) => Task.Run(
        async () =>
        {
            var random = new Random(seed + index);
            for (var id = 0; !stop.IsCancellationRequested; id++)
            {
                if (await TryAsync(kind, id, random, cancellationToken))
                {
                    acknowledged[(kind, id)] = true;
                }

                await Task.Delay(Pause, cancellationToken);
            }
        },
        cancellationToken)));

    public string Describe() => string.Join(", ", Kinds.Select(kind =>
        $"{acknowledged.Keys.Count(one => one.Kind == kind)} of {kind} acknowledged, {heard.Keys.Count(one => one.Kind == kind)} heard ({heard.Count(one => one.Key.Kind == kind && one.Value > 1)} more than once)"))
        + $", {Missing.Count()} missing";

    public async ValueTask DisposeAsync()
    {
        await web.DisposeAsync();
        sidecar.Dispose();
    }

    /// <summary>False when the sidecar did not say that it has it; it may have it all the same.</summary>
    private async Task<bool> TryAsync(string kind, int id, Random random, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = kind == "reminder"
                ? await sidecar.PutAsJsonAsync($"/v1.0/actors/Bell/{id % Actors}/reminders/{id}", new { dueTime = $"{random.Next(2000)}ms" }, cancellationToken)
                : await sidecar.PostAsJsonAsync($"/v1.0/publish/{kind}/post", new { id }, cancellationToken);
            return answer.StatusCode == HttpStatusCode.NoContent;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // Killed, or too slow to be waited for.
            return false;
        }
    }

    private void Map()
    {
        web.MapGet("/dapr/config", () => Results.Text("""{"entities": ["Bell"]}""", "application/json"));
        web.MapGet("/dapr/subscribe", () => Results.Json(Kinds[..2].Select(kind => new { pubsubname = kind, topic = "post", route = $"/heard/{kind}" })));
        web.MapPost("/heard/{kind}", async (string kind, HttpRequest request) =>
        {
            using var body = await JsonDocument.ParseAsync(request.Body);
            Hear(kind, body.RootElement.GetProperty("data").GetProperty("id").GetInt32());
        });
        web.MapPut("/actors/Bell/{actor}/method/remind/{id:int}", (int id) => Hear("reminder", id));
        web.MapDelete("/actors/Bell/{actor}", () => { });
    }

    private void Hear(string kind, int id) => heard.AddOrUpdate((kind, id), 1, static (_, count) => count + 1);
}
