using System.Globalization;
using Grpc.Core;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Hosts;
using RenderTrust.Sidecar.Resilience;

namespace RenderTrust.Sidecar.Actors;

internal sealed partial class ActorRuntime
{
    public const string ReentrancyHeader = "Dapr-Reentrancy-Id";

    // daprd asks five times, a second apart, for an actor's host that is missing.
    private static readonly TimeSpan HostWait = TimeSpan.FromSeconds(5);

    // A host that hangs is known to be gone after its lease and a look; then its actors have a new one.
    public static readonly TimeSpan OwnerWait = HostSchema.Lease + TimeSpan.FromSeconds(4);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(25);

    public static DaprError NoAddress(ActorKey key) => new(404, StatusCode.FailedPrecondition, "ERR_ACTOR_NO_ADDRESS",
        $"did not find address for actor {key}: no hosted app has registered type {key.Type}");

    public ActorSearch Search(ActorKey key) => new(key, time);

    /// <summary>Waits for the actor's turn, and activates it by the way; or finds the host that has it.</summary>
    public async Task<ActorTurn> EnterAsync(ActorSearch search, string? reentrancyId, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (app, seat) = Look(search.Key);
            if (seat?.Peer is { } peer)
            {
                return new ActorTurn(Callee.At(peer, search.Key.Type), null, null, time);
            }

            if (app is not null && await EnterHereAsync(search.Key, app, seat, reentrancyId, cancellationToken) is { } turn)
            {
                return turn;
            }

            // Only an app that is still to come can bring a type that nobody has: when all are there, waiting would help nobody.
            var isExpected = AllApps().Any(candidate => candidate.State.Health is AppHealth.Starting or AppHealth.BackingOff);
            await search.AgainAsync(app is not null || seat is not null ? OwnerWait : isExpected ? HostWait : TimeSpan.Zero, cancellationToken);
        }
    }

    /// <summary>Null when the actor is not this host's at the moment, or is being deactivated.</summary>
    public async Task<ActorTurn?> EnterHereAsync(ActorKey key, string? reentrancyId, CancellationToken cancellationToken)
    {
        var (app, seat) = Look(key);
        return app is null ? null : await EnterHereAsync(key, app, seat, reentrancyId, cancellationToken);
    }

    /// <summary>Calls the actor in its turn, wherever that is. A call whose host goes away meanwhile fails: nobody knows what became of it.</summary>
    public async Task<T> CallAsync<T>(
        ActorKey key, string path, string? reentrancyId, Action<HttpRequestMessage> fill, Func<HttpResponseMessage, Task<T>> read, CancellationToken cancellationToken,
        ResiliencePolicy? policy = null)
    {
        var search = Search(key);
        while (true)
        {
            using (var turn = await EnterAsync(search, reentrancyId, cancellationToken))
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, turn.Callee.Gone);
                try
                {
                    using var response = policy is null ? await SendAsync(turn, limit.Token) : await policy.ExecuteAsync(token => SendAsync(turn, token), limit.Token);
                    if (!turn.IsElsewhere || !response.Headers.Contains(PeerHeaders.NotHere))
                    {
                        return await read(response);
                    }
                }
                catch (HttpRequestException e) when (turn.IsElsewhere && e.HttpRequestError == HttpRequestError.ConnectionError)
                {
                    // Nothing was sent. Its host is dead, and the next owner is seen soon.
                }
                catch (OperationCanceledException e) when (turn.Callee.Gone.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
                {
                    throw new HttpRequestException($"the host at {turn.Callee.Address} that had actor {key} is gone; whether the call had an effect is unknown", e);
                }
            }

            await search.AgainAsync(OwnerWait, cancellationToken);
        }

        // A request of its own for each try.
        async Task<HttpResponseMessage> SendAsync(ActorTurn turn, CancellationToken token)
        {
            using var request = client.NewRequest(turn.Callee, HttpMethod.Put, key.Path + path);
            fill(request);
            AddTurn(request.Headers, turn, reentrancyId);
            return await client.SendAsync(request, token);
        }
    }

    /// <summary>Calls the actor for a timer or reminder, in its turn. True when the app asks that it should not recur.</summary>
    public Task<bool> CallBackAsync(ActorKey key, string path, byte[] body, CancellationToken cancellationToken) => CallAsync(
        key, path, null,
        request =>
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new("application/json");
            AppClient.AddTrace(request, null, null);
        },
        async response => response.IsSuccessStatusCode
            ? response.Headers.TryGetValues("X-Daprremindercancel", out var values) && values.Any(value => value.Equals("true", StringComparison.OrdinalIgnoreCase))
            : throw new HttpRequestException(
                $"the app answered {((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)}: {await AppClient.ReadTextAsync(response, cancellationToken)}"),
        cancellationToken);

    /// <param name="given">The caller's own reentrancy id, which is passed on as it is.</param>
    public static void AddTurn(System.Net.Http.Headers.HttpRequestHeaders headers, ActorTurn turn, string? given)
    {
        if ((turn.ReentrancyId ?? given) is { } id && !headers.Contains(ReentrancyHeader))
        {
            headers.TryAddWithoutValidation(ReentrancyHeader, id);
        }

        if (turn.Token is { } token)
        {
            headers.TryAddWithoutValidation(PeerHeaders.ActorToken, token.ToString(CultureInfo.InvariantCulture));
        }
    }

    private (HostedApp? App, Seat? Seat) Look(ActorKey key)
    {
        var app = hosts.GetValueOrDefault(key.Type);
        var seat = app is null || Directories.For(app) is not null ? Directories.Find(key) : null;
        return (app, seat);
    }

    private async Task<ActorTurn?> EnterHereAsync(ActorKey key, HostedApp app, Seat? seat, string? reentrancyId, CancellationToken cancellationToken)
    {
        if (!app.ActorConfiguration.Types.TryGetValue(key.Type, out var settings))
        {
            throw NoAddress(key);
        }

        var hold = seat?.Hold;
        if (hold is null && Directories.For(app) is not null)
        {
            return null;
        }

        // A call that belongs to a turn which still runs would keep it from ending if it had to wait for the next owner.
        if (hold is not null && seat!.Value.IsLeft && reentrancyId is null)
        {
            return null;
        }

        var instance = instances.GetOrAdd(key, static (k, state) => new ActorInstance(k, state.app, state.settings, state.hold) { LastUsed = state.now },
            (app, settings, hold, now: time.GetUtcNow()));
        var id = settings.ReentrancyEnabled ? reentrancyId ?? Guid.CreateVersion7().ToString() : null;
        switch (instance.Hold == hold ? await instance.Lock.EnterAsync(id, cancellationToken) : TurnOutcome.Closed)
        {
            case TurnOutcome.Entered:
                break;
            case TurnOutcome.TooDeep:
                throw new DaprError(500, StatusCode.ResourceExhausted, "ERR_ACTOR_STACK_DEPTH",
                    $"maximum stack depth exceeded for actor {key}: maxStackDepth is {settings.ReentrancyDepthMax}");
            case TurnOutcome.Closed:
            default:
                return null;
        }

        // Much may have happened while we waited for our turn.
        if (hold is null || hold.IsOpen || (reentrancyId is not null && hold.IsValid))
        {
            return new ActorTurn(Callee.Of(app), instance, id, time);
        }

        instance.Lock.Exit();
        return null;
    }

    /// <summary>How long an actor has been looked for.</summary>
    public sealed class ActorSearch(ActorKey key, TimeProvider time)
    {
        private TimeSpan waited;

        public ActorKey Key => key;

        /// <summary>Waits a little; fails when these waits add up to the limit. Waiting for a turn is none of them.</summary>
        public Task AgainAsync(TimeSpan limit, CancellationToken cancellationToken)
        {
            if (waited >= limit)
            {
                throw limit < OwnerWait ? NoAddress(key) : new DaprError(500, StatusCode.Unavailable, "ERR_ACTOR_NO_OWNER",
                    $"actor {key} has had no owner for {limit.TotalSeconds} s: see in the log of the hosts that have its type whether they reach their database");
            }

            waited += Poll;
            return Task.Delay(Poll, time, cancellationToken);
        }
    }
}
