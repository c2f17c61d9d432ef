using System.Net.Http.Headers;
using System.Text.Json;
using Dapr;
using Dapr.Actors;
using Dapr.Actors.Client;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Placement;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler;

/// <summary>
/// Walks the paths that have a budget once, right after the start, for ids that nobody has: compiling them costs a first caller more than all
/// the work. Nothing it does takes effect, and nothing depends on it.
/// </summary>
internal sealed partial class WarmUp(
    SubmitJob submit, LeaseSlot leases, IActorProxyFactory actors, TailJobEvents tail, JobLog log, IServer server, ServiceApp app, IHostApplicationLifetime lifetime,
    IOptions<SchedulerOptions> options, IOptions<PlacementOptions> placement, TimeProvider time, ILogger<WarmUp> logger) : BackgroundService
{
    // The second round takes the prepared statements and the pooled connections of the first.
    private const int Rounds = 2;

    // The ledger may still be making its functions, and the sidecar may still be asking for our actors.
    private const int Tries = 30;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await StartedAsync(stoppingToken);
            for (var attempt = 1; !await TryAsync(attempt, stoppingToken) && attempt < Tries; attempt++)
            {
                await Task.Delay(Pause, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    private async Task<bool> TryAsync(int attempt, CancellationToken cancellationToken)
    {
        try
        {
            var began = time.GetTimestamp();
            for (var round = 0; round < Rounds; round++)
            {
                await WalkAsync(cancellationToken);
                await CallAsync(cancellationToken);
            }

            LogDone(logger, time.GetElapsedTime(began).TotalMilliseconds);
            return true;
        }
        catch (Exception exception) when (exception is NpgsqlException or HttpRequestException or DaprException)
        {
            if (attempt == Tries)
            {
                LogFailed(logger, exception);
            }

            return false;
        }
    }

    private async Task StartedAsync(CancellationToken cancellationToken)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(cancellationToken);
    }

    private async Task WalkAsync(CancellationToken cancellationToken)
    {
        var module = new ModuleVersion(
            "warm-up", "0.0.0", "", "", TenantId.New(), 1,
            new ModuleRuntime("", "", DeviceKind.Cpu, 1, 1, 1, 1, 1), null, null, null, [], [], time.GetUtcNow());
        await submit.WarmUpAsync(module, cancellationToken);

        var node = new FleetNode(
            NodeId.New(), "nobody", TenantId.New(), "nobody", new NodeCapabilities(DeviceKind.Cpu, 1, 1, 1, 1, "bubblewrap", true, true, ""), true, 1, "", 1, 0, 1);
        var needs = new UnitNeeds(
            TenantId.New(), DeviceKind.Cpu, 1, 1, 1, new HashSet<string> { "nobody" }, new HashSet<NodeId>(), new Dictionary<NodeId, string>());
        var choice = PlacementRules.Choose(needs, [node], placement.Value, development: false);
        var request = new LeaseRequest(node.NodeId, 1, JobId.New(), 0, Guid.CreateVersion7(), "nobody", time.GetUtcNow(), choice.Decision);
        await leases.TryAsync(request, 0, cancellationToken);
        ReadAndWrite(new LeaseResponse(LeaseOutcome.Leased, "", Offer(module), null));
        ReadAndWrite(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        if (options.Value.UseNodeActors)
        {
            // A node that cannot be: it has no slots, and its actor ends by idling.
            await actors.Create(new ActorId(Guid.Empty.ToString("D")), nameof(NodeActor))
                .InvokeMethodAsync<LeaseRequest, LeaseResponse>(nameof(INodeActor.LeaseAsync), request with { NodeId = new NodeId(Guid.Empty) }, cancellationToken);
        }

        await tail.ReadAsync(await tail.EndAsync(cancellationToken), 1, TimeSpan.Zero, cancellationToken);
        await log.FindAsync(TaskId.New(), TenantId.New(), cancellationToken);
    }

    private static LeaseOffer Offer(ModuleVersion module)
    {
        var asset = new AssetRef(Guid.CreateVersion7(), "", 1);
        return new LeaseOffer(
            NodeId.New(), 1, AttemptId.New(), 1, 0, TenantId.New(), JobId.New(), TaskId.New(), 0, 1, 1, module.Reference, module.Runtime, asset, [asset],
            [new AssetGrant(asset.AssetId, "", [], [])], 1, DateTimeOffset.UnixEpoch);
    }

    private static void ReadAndWrite<T>(T value) =>
        JsonSerializer.Deserialize<T>(JsonSerializer.SerializeToUtf8Bytes(value, WireJson.Options), WireJson.Options);

    /// <summary>Through the own listener: routing, authorisation and reading a body.</summary>
    private async Task CallAsync(CancellationToken cancellationToken)
    {
        if (server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() is not { } address)
        {
            return;
        }

        using var http = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromSeconds(10) };
        var report = new UnitResultReport(NodeId.New(), 1, AttemptId.New(), 1, true, 0, [], null, null, time.GetUtcNow());
        using var request = new HttpRequestMessage(HttpMethod.Post, "/internal/results")
        {
            Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(report, WireJson.Options)),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("dapr-caller-app-id", Apps.Gateway);
        if (app.ApiToken is { } token)
        {
            request.Headers.Add("dapr-api-token", token);
        }

        using var response = await http.SendAsync(request, cancellationToken);
    }

    [LoggerMessage(LogLevel.Information, "Warmed up in {Milliseconds} ms")]
    private static partial void LogDone(ILogger logger, double milliseconds);

    [LoggerMessage(LogLevel.Warning, "Warming up failed; the first requests take longer")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
