using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>Actors without an SDK. A method, timer or reminder is named after what it does; anything else succeeds.</summary>
internal sealed class ActorAnswers(DaprSidecar sidecar)
{
    private const string Reentrancy = "Dapr-Reentrancy-Id";

    private readonly ConcurrentDictionary<string, TaskCompletionSource> holds = new();
    private readonly ConcurrentDictionary<string, int> inside = new();
    private readonly ConcurrentDictionary<string, int> calls = new();

    /// <summary>Plain: nothing special. Idle: deactivated after a second. Again: reentrant, three deep.</summary>
    public const string Configuration = """
        {
          "entities": ["Plain"],
          "entitiesConfig": [
            {"entities": ["Idle"], "actorIdleTimeout": "1s", "actorScanInterval": "100ms"},
            {"entities": ["Again"], "reentrancy": {"enabled": true, "maxStackDepth": 3}}
          ]
        }
        """;

    /// <summary>For the app behind the guarded sidecar: types are one app's only.</summary>
    public const string GuardedConfiguration = """{"entities": ["Kept"]}""";

    public void Release(string actorId) => Hold(actorId).TrySetResult();

    public async Task AnswerAsync(HttpContext context, Recorded request)
    {
        var parts = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (request.Method == "DELETE" || parts.Length < 5)
        {
            return;
        }

        var (type, id, name) = (parts[1], parts[2], parts[^1]);
        if (name.StartsWith("status-", StringComparison.Ordinal))
        {
            context.Response.StatusCode = int.Parse(name["status-".Length..]);
            await context.Response.WriteAsync("on purpose");
        }
        else if (name.StartsWith("cancel-", StringComparison.Ordinal))
        {
            context.Response.Headers["X-Daprremindercancel"] = "true";
        }
        else if (name.StartsWith("fails-", StringComparison.Ordinal))
        {
            context.Response.StatusCode = name.StartsWith("fails-once", StringComparison.Ordinal) && !IsFirstCall(id, name) ? 200 : 500;
        }
        else
        {
            await CallAsync(context, request, type, id, name);
        }
    }

    private async Task CallAsync(HttpContext context, Recorded request, string type, string id, string name)
    {
        switch (name)
        {
            case "hold":
                await Hold(id).Task.WaitAsync(context.RequestAborted);
                break;
            case "overlap":
                var count = inside.AddOrUpdate(id, 1, (_, n) => n + 1);
                await Task.Delay(5);
                inside.AddOrUpdate(id, 0, (_, n) => n - 1);
                await context.Response.WriteAsync($"{count}");
                break;
            case "failure":
                context.Response.Headers["X-DaprErrorResponseHeader"] = "<Error/>";
                await context.Response.WriteAsync("an exception in the actor's own words");
                break;
            case "again":
                await ForwardAsync(context, request, $"/v1.0/actors/{type}/{id}/method/echo");
                break;
            case "deeper":
                await ForwardAsync(context, request, $"/v1.0/actors/{type}/{id}/method/deeper");
                break;
            default:
                await RecordingApp.EchoAsync(context, request);
                break;
        }
    }

    // The chain's id goes along, as every SDK does it; the inner answer is passed on with its status.
    private async Task ForwardAsync(HttpContext context, Recorded request, string path)
    {
        using var inner = new HttpRequestMessage(HttpMethod.Put, sidecar.Http + path) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        if (request.Header(Reentrancy) is { } chain)
        {
            inner.Headers.TryAddWithoutValidation(Reentrancy, chain);
        }

        using var answer = await sidecar.Client.SendAsync(inner, context.RequestAborted);
        context.Response.Headers["x-inner-status"] = $"{(int)answer.StatusCode}";
        await context.Response.WriteAsync(await answer.Content.ReadAsStringAsync(context.RequestAborted));
    }

    private TaskCompletionSource Hold(string actorId) => holds.GetOrAdd(actorId, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

    private bool IsFirstCall(string id, string name) => calls.AddOrUpdate($"{id} {name}", 1, (_, count) => count + 1) == 1;
}
