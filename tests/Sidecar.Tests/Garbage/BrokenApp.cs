using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>An app that answers deliveries, actors and callers with anything at all, and is well only under /well.</summary>
internal sealed class BrokenApp(int seed)
{
    /// <summary>On every answer of the app's own, so that it is told apart from the sidecar's.</summary>
    public const string Mark = "x-from-the-app";

    private static readonly int[] Statuses = [200, 200, 200, 200, 204, 206, 302, 400, 403, 404, 409, 413, 429, 500, 501, 503, 599, 999];
    private static readonly string[] ContentTypes = ["application/json", "text/plain", "", "application/octet-stream", "nonsense", "a/b;c", "text/plain; charset=nonsense", "application/grpc"];

    private int answered;

    /// <summary>Marks every answer of an app.</summary>
    public static void Use(WebApplication web) => web.Use((context, next) =>
    {
        context.Response.Headers[Mark] = "1";
        return next(context);
    });

    public void Map(WebApplication web, string subscriptions)
    {
        web.MapGet("/dapr/config", () => Results.Text("""{"entities":["Broken"],"actorIdleTimeout":"1h","reentrancy":{"enabled":true,"maxStackDepth":3}}""", "application/json"));
        web.MapGet("/dapr/subscribe", () => Results.Text(subscriptions, "application/json"));
        web.MapMethods("/well", ["GET", "POST"], () => Results.Text("well"));
        web.MapFallback("{*path}", AnswerAsync);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        var random = new Random(unchecked(seed + (Interlocked.Increment(ref answered) * 31)));
        var garble = new Garble(random, ["SUCCESS", "RETRY", "DROP"]);
        context.Response.StatusCode = Statuses[random.Next(Statuses.Length)];
        if (random.Next(3) == 0)
        {
            context.Response.Headers["X-Daprerrorresponseheader"] = "true";
            context.Response.Headers["traceparent"] = "00-zz";
            context.Response.Headers["X-DaprReminderCancel"] = "yes";
        }

        context.Response.ContentType = ContentTypes[random.Next(ContentTypes.Length)];
        if (context.Response.StatusCode is not 204)
        {
            await context.Response.Body.WriteAsync(Body(random, garble), context.RequestAborted);
        }
    }

    private static byte[] Body(Random random, Garble garble) => random.Next(3) switch
    {
        0 => [],
        1 => JsonGarbage.Of("""{"status":"SUCCESS"}""", random, garble),
        _ => JsonGarbage.Of("""{"statuses":[{"entryId":"1","status":"SUCCESS"},{"entryId":"2","status":"RETRY"}]}""", random, garble),
    };
}
