using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>One request as it reached the app.</summary>
public sealed record Recorded(string Method, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Bytes)
{
    public string Path => Target.Split('?')[0];

    public string Body => Encoding.UTF8.GetString(Bytes);

    public JsonNode Json => JsonNode.Parse(Bytes)!;

    public string? Header(string name) => Headers.GetValueOrDefault(name);
}

/// <summary>
/// An app without any SDK that remembers every request. What it answers is written in the request itself, so that one app serves all cases
/// at once: events carry their answers (<see cref="EventAnswers"/>), actor methods are named after what they do (<see cref="ActorAnswers"/>).
/// </summary>
public sealed class RecordingApp : IAsyncDisposable
{
    private readonly WebApplication web;
    private readonly ConcurrentQueue<Recorded> seen = new();
    private readonly EventAnswers events = new();
    private readonly ActorAnswers actors;

    private readonly string configuration;
    private readonly string subscriptions;

    private RecordingApp(WebApplication web, DaprSidecar sidecar, string configuration, string subscriptions)
    {
        this.web = web;
        this.configuration = configuration;
        this.subscriptions = subscriptions;
        actors = new ActorAnswers(sidecar);
    }

    public static async Task<RecordingApp> StartAsync(DaprSidecar sidecar, string configuration, string subscriptions)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, sidecar.AppPort, listen => listen.Protocols = HttpProtocols.Http1));
        var web = builder.Build();
        var app = new RecordingApp(web, sidecar, configuration, subscriptions);
        web.Run(app.HandleAsync);
        await web.StartAsync();
        return app;
    }

    public IReadOnlyList<Recorded> Seen(Func<Recorded, bool> which) => [.. seen.Where(which)];

    /// <summary>Waits until so many requests of this kind have come, and gives all of them.</summary>
    public async Task<IReadOnlyList<Recorded>> ArrivedAsync(string what, int count, Func<Recorded, bool> which)
    {
        await Wait.UntilAsync($"{what} arrives {count} times", () => seen.Count(which) >= count, () => string.Join(" | ", seen.Where(which).Select(r => $"{r.Method} {r.Target} {r.Body}")));
        return Seen(which);
    }

    /// <summary>Events that were posted to a route and name this mark anywhere.</summary>
    public Task<IReadOnlyList<Recorded>> EventsAsync(string route, string mark, int count = 1) =>
        ArrivedAsync($"event {mark} at {route}", count, r => IsEvent(r, route, mark));

    public int EventCount(string route, string mark) => seen.Count(r => IsEvent(r, route, mark));

    /// <summary>Lets an actor's method <c>hold</c> end.</summary>
    public void Release(string actorId) => actors.Release(actorId);

    public async ValueTask DisposeAsync()
    {
        // Calls under way are cut: a sidecar may keep connections open for as long as it likes.
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await web.StopAsync(now.Token);
        await web.DisposeAsync();
    }

    private static bool IsEvent(Recorded request, string route, string mark) =>
        request.Path == "/on/" + route && request.Body.Contains(mark, StringComparison.Ordinal);

    private async Task HandleAsync(HttpContext context)
    {
        using var buffer = new MemoryStream();
        await context.Request.Body.CopyToAsync(buffer, context.RequestAborted);
        var request = new Recorded(
            context.Request.Method, context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase), buffer.ToArray());
        seen.Enqueue(request);
        var path = context.Request.Path.Value!;
        await (path switch
        {
            "/dapr/config" => JsonAsync(context, configuration),
            "/dapr/subscribe" => JsonAsync(context, subscriptions),
            "/ticks" or "/healthz" => Task.CompletedTask,
            "/bulk" => events.AnswerBulkAsync(context, request),
            "/mirror" => MirrorAsync(context, request),
            _ when path.StartsWith("/on/", StringComparison.Ordinal) => events.AnswerAsync(context, request),
            _ when path.StartsWith("/actors/", StringComparison.Ordinal) => actors.AnswerAsync(context, request),
            _ when path.StartsWith("/status/", StringComparison.Ordinal) => StatusAsync(context, int.Parse(path["/status/".Length..])),
            _ when path.StartsWith("/echo", StringComparison.Ordinal) => EchoAsync(context, request),
            _ => StatusAsync(context, 404),
        });
    }

    private static Task JsonAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json);
    }

    internal static Task EchoAsync(HttpContext context, Recorded request)
    {
        context.Response.Headers["x-echo"] = "yes";
        context.Response.Headers.Append("x-many", "one");
        context.Response.Headers.Append("x-many", "two");
        context.Response.Headers.SetCookie = "c=1";
        return JsonAsync(context, new JsonObject
        {
            ["method"] = request.Method,
            ["target"] = request.Target,
            ["headers"] = new JsonObject(request.Headers.Select(header => KeyValuePair.Create(header.Key.ToLowerInvariant(), (JsonNode?)header.Value))),
            ["body"] = request.Body,
        }.ToJsonString());
    }

    private static Task MirrorAsync(HttpContext context, Recorded request)
    {
        context.Response.ContentType = request.Header("Content-Type");
        return context.Response.Body.WriteAsync(request.Bytes).AsTask();
    }

    private static Task StatusAsync(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        context.Response.Headers["x-status"] = $"{status}";
        if (status == 302)
        {
            context.Response.Headers.Location = "/echo/elsewhere";
        }

        return status is 204 or 304 ? Task.CompletedTask : context.Response.WriteAsync($"the app says {status}");
    }
}
