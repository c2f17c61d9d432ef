using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RenderTrust.Contracts;
using HttpResults = Microsoft.AspNetCore.Http.Results;

namespace RenderTrust.Gateway.Tests.Hub;

/// <summary>The place of the sidecar, over real HTTP: identity with a test CA behind it, and a scheduler that remembers what it was told.</summary>
internal sealed class HubSidecar : IAsyncDisposable
{
    private readonly WebApplication app;
    private long epoch;
    private long revocationVersion = 1;

    private HubSidecar(WebApplication app) => this.app = app;

    public int Port { get; private set; }

    public TestCa Ca { get; set; } = new();

    public bool IdentityIsAway { get; set; }

    public ConcurrentDictionary<NodeId, bool> RevokedNodes { get; } = new();

    public ConcurrentQueue<OpenNodeSessionRequest> Opened { get; } = new();

    public ConcurrentQueue<CloseNodeSessionRequest> Closed { get; } = new();

    public ConcurrentQueue<NodeHeartbeatBatch> Heartbeats { get; } = new();

    public ConcurrentQueue<ProgressBatch> Progress { get; } = new();

    public ConcurrentQueue<UnitResultReport> Results { get; } = new();

    public int ServerCertificates { get; private set; }

    /// <summary>Called after the epoch is taken and before it is answered.</summary>
    public Func<long, Task> BeforeOpenAnswer { get; set; } = _ => Task.CompletedTask;

    /// <summary>What becomes of a result; null = the answer gets lost.</summary>
    public Func<UnitResultReport, Task<ResultOutcome?>> Judge { get; set; } = _ => Task.FromResult<ResultOutcome?>(ResultOutcome.Accepted);

    public IReadOnlyList<AttemptId> LiveAttempts { get; set; } = [];

    /// <summary>The status that results with outputs are answered with.</summary>
    public int? RefuseOutputsWith { get; set; }

    /// <summary>Null as from a scheduler that does not say whose they are.</summary>
    public IReadOnlyList<LiveAttempt>? Live { get; set; }

    public bool ProgressIsRefused { get; set; }

    public static async Task<HubSidecar> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var sidecar = new HubSidecar(app);
        app.Map("/v1.0/invoke/{app}/method/{**path}", sidecar.AnswerAsync);
        await app.StartAsync();
        sidecar.Port = new Uri(app.Urls.First()).Port;
        return sidecar;
    }

    public void Revoke(NodeId node)
    {
        RevokedNodes[node] = true;
        Interlocked.Increment(ref revocationVersion);
    }

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    private static IResult Lost() => Answers.Json(new { errorCode = "ERR_DIRECT_INVOKE", message = "the answer was lost" }, 500);

    private static async Task<T> ReadAsync<T>(HttpContext http) => (await JsonSerializer.DeserializeAsync<T>(http.Request.Body, WireJson.Options))!;

    private async Task<IResult> AnswerAsync(string app, string path, HttpContext http)
    {
        if (app == Apps.Identity && IdentityIsAway)
        {
            return Lost();
        }

        switch (app, path)
        {
            case (Apps.Identity, "internal/revocations"):
                return Answers.Json(new RevocationList(Interlocked.Read(ref revocationVersion), [], [.. RevokedNodes.Keys], []));
            case (Apps.Identity, "internal/ca"):
                return Answers.Json(Ca.Trust);
            case (Apps.Identity, "internal/server-certificates"):
                ServerCertificates++;
                return Answers.Json(Ca.IssueServer(await ReadAsync<ServerCertificateRequest>(http)));
            case (Apps.Scheduler, "internal/node-sessions"):
                var mine = Interlocked.Increment(ref epoch);
                Opened.Enqueue(await ReadAsync<OpenNodeSessionRequest>(http));
                await BeforeOpenAnswer(mine);
                return Answers.Json(new OpenNodeSessionResponse(mine, LiveAttempts, Live));
            case (Apps.Scheduler, "internal/node-sessions/closed"):
                Closed.Enqueue(await ReadAsync<CloseNodeSessionRequest>(http));
                return HttpResults.NoContent();
            case (Apps.Scheduler, "internal/node-heartbeats"):
                Heartbeats.Enqueue(await ReadAsync<NodeHeartbeatBatch>(http));
                return HttpResults.NoContent();
            case (Apps.Scheduler, "internal/progress"):
                Progress.Enqueue(await ReadAsync<ProgressBatch>(http));
                return ProgressIsRefused ? HttpResults.Problem(statusCode: 400) : HttpResults.NoContent();
            case (Apps.Scheduler, "internal/results"):
                var report = await ReadAsync<UnitResultReport>(http);
                var outcome = await Judge(report);
                Results.Enqueue(report);
                if (report.Outputs.Count > 0 && RefuseOutputsWith is { } status)
                {
                    return HttpResults.Problem(statusCode: status);
                }

                return outcome is { } known ? Answers.Json(new UnitResultResponse(known, null)) : Lost();
            default:
                return HttpResults.Problem(statusCode: 404);
        }
    }

    private static class Answers
    {
        public static IResult Json<T>(T value, int status = 200) =>
            HttpResults.Text(JsonSerializer.Serialize(value, WireJson.Options), "application/json", statusCode: status);
    }
}
