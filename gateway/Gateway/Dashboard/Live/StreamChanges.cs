using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Gateway.A2A;
using RenderTrust.Gateway.Auth;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Dashboard.Live;

/// <summary>
/// <c>GET /dashboard/api/changes?job=&amp;fleet=true</c>: server-sent events for one page. Order of steps:
/// 1. take up the stream where Last-Event-ID says, or say <c>reset</c>: load everything anew, what follows is newer; 2. tell what is news, gathered for a moment;
/// 3. wait for more. Each message carries the place after it, so a break at any point loses nothing.
/// </summary>
internal sealed class StreamChanges
{
    private const int MostAtOnce = 500;

    private readonly SseWriter _out;
    private readonly HttpContext _http;
    private readonly TenantId _tenant;
    private readonly JobId? _job;
    private readonly bool _withFleet;
    private readonly IServiceProvider _services;
    private readonly DashboardOptions _options;
    private readonly LiveLog _log;
    private readonly TimeProvider _time;
    private bool _toldStale;
    private string? _toldFleet;
    private bool _fleetFails;

    private StreamChanges(HttpContext http, SignedInBrowser browser, JobId? job, bool withFleet)
    {
        _http = http;
        _services = http.RequestServices;
        _options = _services.GetRequiredService<IOptions<DashboardOptions>>().Value;
        _log = _services.GetRequiredService<LiveLog>();
        _time = _services.GetRequiredService<TimeProvider>();
        _out = new SseWriter(http.Response);
        (_tenant, _job, _withFleet) = (browser.Session.TenantId, job, withFleet);
    }

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/changes", HandleAsync);

    private static async Task<Results<EmptyHttpResult, ProblemHttpResult>> HandleAsync(
        HttpContext http, JobId? job, bool? fleet, string? lastEventId, StreamPlaces places, CancellationToken cancellationToken)
    {
        if (http.Features.Get<SignedInBrowser>() is not { } browser)
        {
            return Sessions.GetSession.NoBrowser();
        }

        using var place = places.TryTake(browser.Session.SessionId);
        if (place is null)
        {
            http.Response.Headers.RetryAfter = "5";
            return TypedResults.Problem("This browser has as many live pages open as it may. Close some tabs of the dashboard.", statusCode: StatusCodes.Status429TooManyRequests);
        }

        // A browser that opens the stream anew, after an error page in between, cannot set the header.
        var last = http.Request.Headers["Last-Event-ID"] is [{ Length: > 0 } header] ? header : lastEventId;
        try
        {
            await new StreamChanges(http, browser, job, fleet is true).RunAsync(last, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The page was closed.
        }

        return TypedResults.Empty;
    }

    private async Task RunAsync(string? last, CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        // Before the tail stands somewhere, what a page loads and what it then hears could leave a gap between them.
        await _services.GetRequiredService<TailJobEventsLoop>().WaitUntilFollowingAsync(stopping.Token);
        _out.Begin();
        var place = await TakeUpAsync(last, stopping.Token);
        var (beatAt, fleetAt) = (_time.GetTimestamp(), (long?)null);
        while (true)
        {
            // Taken before reading: news in between wake the wait below at once.
            var next = _log.Next;
            var read = _log.Read(_tenant, place, MostAtOnce);
            place = read.Place;
            await TellAsync(read, stopping.Token);
            if (_withFleet && (fleetAt is null || _time.GetElapsedTime(fleetAt.Value) >= TimeSpan.FromSeconds(_options.FleetSeconds)))
            {
                fleetAt = _time.GetTimestamp();
                await TellFleetAsync(stopping.Token);
            }

            await TellStaleAsync(stopping.Token);
            if (_time.GetElapsedTime(beatAt) >= TimeSpan.FromSeconds(_options.HeartbeatSeconds))
            {
                beatAt = _time.GetTimestamp();
                if (!await IsSignedInAsync(stopping.Token))
                {
                    await _out.WriteAsync("ended", "{}", null, stopping.Token);
                    return;
                }

                await _out.BeatAsync(place.ToString(), stopping.Token);
            }

            if (!read.HasMore)
            {
                await WaitAsync(next, beatAt, fleetAt, stopping.Token);
            }
        }
    }

    private async Task<LivePlace> TakeUpAsync(string? last, CancellationToken cancellationToken)
    {
        if (LivePlace.TryParse(last, out var place) && !_log.Read(_tenant, place, 0).IsLost)
        {
            await _out.WriteAsync("resumed", "{}", place.ToString(), cancellationToken);
            return place;
        }

        // News count from here on; what the page loads after it has read this holds everything before.
        var end = _log.End;
        await _out.WriteAsync("reset", "{}", end.ToString(), cancellationToken);
        return end;
    }

    private async Task TellAsync(LiveRead read, CancellationToken cancellationToken)
    {
        if (read.IsLost)
        {
            await _out.WriteAsync("reset", "{}", read.Place.ToString(), cancellationToken);
            return;
        }

        // Leases and progress of jobs that the page does not show in full would only be noise.
        var shown = read.Events.Where(news => news.JobId == _job || news.Kind is not (JobEventKind.UnitProgress or JobEventKind.UnitLeased)).ToList();
        if (shown.Count > 0)
        {
            var changes = shown.Select(news => new LiveChange(news.JobId, news.Seq, news.Kind, news.At, news.Body));
            await _out.WriteAsync("changes", JsonSerializer.Serialize(changes, WireJson.Options), read.Place.ToString(), cancellationToken);
        }
    }

    private async Task TellFleetAsync(CancellationToken cancellationToken)
    {
        try
        {
            var nodes = await _services.GetRequiredService<FleetFacts>().ReadAsync(_tenant).WaitAsync(cancellationToken);
            _fleetFails = false;
            var text = JsonSerializer.Serialize(nodes, WireJson.Options);
            if (text != _toldFleet)
            {
                _toldFleet = text;
                await _out.WriteAsync("fleet", text, null, cancellationToken);
            }
        }
        catch (Exception exception) when (NeighbourFaults.IsOne(exception))
        {
            // Told below as what it means to the page: what it shows may be old.
            _fleetFails = true;
        }
    }

    private async Task TellStaleAsync(CancellationToken cancellationToken)
    {
        var isStale = _log.IsStale || _fleetFails;
        if (isStale != _toldStale)
        {
            _toldStale = isStale;
            await _out.WriteAsync(isStale ? "stale" : "fresh", "{}", null, cancellationToken);
        }
    }

    /// <summary>A stream must not outlive its session. Without an answer it lives on until the next look: the page shows nothing that it has not had a right to.</summary>
    private async Task<bool> IsSignedInAsync(CancellationToken cancellationToken)
    {
        var sessions = _services.GetRequiredService<BrowserSessions>();
        try
        {
            return sessions.Read(_http.Request) is { } secret && await sessions.FindAsync(secret, cancellationToken) is not null;
        }
        catch (Exception exception) when (NeighbourFaults.IsOne(exception))
        {
            return true;
        }
    }

    private async Task WaitAsync(Task next, long beatAt, long? fleetAt, CancellationToken cancellationToken)
    {
        var left = TimeSpan.FromSeconds(_options.HeartbeatSeconds) - _time.GetElapsedTime(beatAt);
        if (fleetAt is { } asked)
        {
            var fleetLeft = TimeSpan.FromSeconds(_options.FleetSeconds) - _time.GetElapsedTime(asked);
            left = fleetLeft < left ? fleetLeft : left;
        }

        using var quiet = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var first = await Task.WhenAny(next, Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, quiet.Token));
        await quiet.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        if (first == next)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(_options.GatherMilliseconds), _time, cancellationToken);
        }
    }
}

/// <summary>One entry of a job's log as a page hears it: the body is that of the log, without outputs.</summary>
internal sealed record LiveChange(JobId JobId, long Seq, JobEventKind Kind, DateTimeOffset At, JobEventBody Body);
