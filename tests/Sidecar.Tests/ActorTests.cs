using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Dapr.Actors;
using Dapr.Actors.Client;
using Dapr.Actors.Runtime;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

public interface ICounterActor : IActor
{
    Task<int> AddAsync(int amount);

    /// <summary>Holds its turn until the test lets go, and says how many were inside at once.</summary>
    Task<int> SlowlyAsync();

    Task<string> CallThroughAsync(string other);

    Task<string> EchoAsync(string text);

    Task FailAsync();

    Task StartTimerAsync(string name);

    Task StopTimerAsync(string name);

    Task RemindAsync(string name, int dueMilliseconds, int periodMilliseconds, int? repetitions);

    Task<bool> HasReminderAsync(string name);

    Task ForgetAsync(string name);
}

public static class Happenings
{
    public static ConcurrentQueue<string> All { get; } = new();

    private static readonly ConcurrentDictionary<string, int> Inside = new();

    public static int Enter(string actor) => Inside.AddOrUpdate(actor, 1, (_, count) => count + 1);

    public static void Leave(string actor) => Inside.AddOrUpdate(actor, 0, (_, count) => count - 1);

    public static int Count(string what) => All.Count(item => item == what);
}

public class CounterActor(ActorHost host) : Actor(host), ICounterActor, IRemindable
{
    public async Task<int> AddAsync(int amount)
    {
        var value = await StateManager.GetOrAddStateAsync("count", 0) + amount;
        await StateManager.SetStateAsync("count", value);
        return value;
    }

    public async Task<int> SlowlyAsync()
    {
        var inside = Happenings.Enter(Id.GetId());
        var count = await StateManager.GetOrAddStateAsync("slow", 0);
        await Task.Delay(5);
        await StateManager.SetStateAsync("slow", count + 1);
        Happenings.Leave(Id.GetId());
        Happenings.All.Enqueue($"inside {Id} {inside}");
        return count + 1;
    }

    public Task<string> CallThroughAsync(string other) =>
        ProxyFactory.CreateActorProxy<ICounterActor>(new ActorId(other), Host.ActorTypeInfo.ActorTypeName).EchoAsync(Id.GetId());

    public Task<string> EchoAsync(string text) => Task.FromResult($"{Id} heard {text}");

    public Task FailAsync() => throw new InvalidOperationException("on purpose");

    public Task StartTimerAsync(string name) => RegisterTimerAsync(name, nameof(OnTimerAsync), Encoding.UTF8.GetBytes(name), TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(20));

    public Task StopTimerAsync(string name) => UnregisterTimerAsync(name);

    public Task OnTimerAsync(byte[] state)
    {
        Happenings.All.Enqueue($"timer {Id} {Encoding.UTF8.GetString(state)}");
        return Task.CompletedTask;
    }

    public Task RemindAsync(string name, int dueMilliseconds, int periodMilliseconds, int? repetitions) => repetitions is { } count
        ? RegisterReminderAsync(name, Encoding.UTF8.GetBytes("data of " + name), TimeSpan.FromMilliseconds(dueMilliseconds), TimeSpan.FromMilliseconds(periodMilliseconds), count)
        : RegisterReminderAsync(name, Encoding.UTF8.GetBytes("data of " + name), TimeSpan.FromMilliseconds(dueMilliseconds), TimeSpan.FromMilliseconds(periodMilliseconds));

    public async Task<bool> HasReminderAsync(string name) => (await GetReminderAsync(name))?.Name == name;

    public Task ForgetAsync(string name) => UnregisterReminderAsync(name);

    public Task ReceiveReminderAsync(string reminderName, byte[] state, TimeSpan dueTime, TimeSpan period)
    {
        Happenings.All.Enqueue($"reminder {Id} {reminderName} {Encoding.UTF8.GetString(state)}");
        return Task.CompletedTask;
    }

    protected override Task OnActivateAsync()
    {
        Happenings.All.Enqueue($"activated {Id}");
        return base.OnActivateAsync();
    }

    protected override Task OnDeactivateAsync()
    {
        Happenings.All.Enqueue($"deactivated {Id}");
        return base.OnDeactivateAsync();
    }
}

/// <summary>The same actor; its type is reentrant.</summary>
public sealed class ReentrantActor(ActorHost host) : CounterActor(host);

/// <summary>The real actor package, client and runtime, through the sidecar, with state and reminders in a real Postgres.</summary>
public sealed class ActorTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly SidecarRig rig = new();
    private RigApp host = null!;
    private RigApp client = null!;
    private HostedTestApp? app;

    public async ValueTask InitializeAsync()
    {
        var npgsql = new Npgsql.NpgsqlConnectionStringBuilder(database.AdminConnectionString);
        rig.Component("state", "state.postgresql", "v2",
            $"{SidecarRig.Setting("connectionString", $"host={npgsql.Host} port={npgsql.Port} user={npgsql.Username} database={npgsql.Database}")}, {SidecarRig.Setting("actorStateStore", "true")}");
        host = rig.AddApp("actors");
        client = rig.AddApp("client", withPort: false);
        await StartAppAsync();
        await rig.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        if (app is not null)
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task An_actor_keeps_its_state_under_daprds_key()
    {
        var id = NewId();
        Assert.Equal(2, await Proxy(id).AddAsync(2));
        Assert.Equal(5, await Proxy(id).AddAsync(3));
        await using var row = database.Admin().CreateCommand("SELECT convert_from(value, 'UTF8') FROM state WHERE key = $1");
        row.Parameters.Add(new() { Value = $"actors||CounterActor||{id}||count" });

        Assert.Equal("5", await row.ExecuteScalarAsync(Token));
        Assert.Equal("5", await rig.Client.GetStringAsync($"{host.Http}/v1.0/actors/CounterActor/{id}/state/count", Token));
    }

    [Fact]
    public async Task State_outlives_host_and_app()
    {
        var id = NewId();
        await Proxy(id).AddAsync(7);
        await rig.StopAsync();
        await rig.StartAsync();

        Assert.Equal(8, await Proxy(id).AddAsync(1));
    }

    [Fact]
    public async Task Turns_of_one_actor_never_overlap()
    {
        var id = NewId();
        var results = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => Proxy(id).SlowlyAsync()));

        // Every call read what the one before it wrote.
        Assert.Equal(Enumerable.Range(1, 40), results.Order());
        Assert.Equal(40, Happenings.Count($"inside {id} 1"));
    }

    [Fact]
    public async Task Different_actors_work_at_the_same_time()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Proxy(NewId()).SlowlyAsync()));

        Assert.All(results, result => Assert.Equal(1, result));
    }

    [Fact]
    public async Task A_call_chain_comes_back_into_a_reentrant_actor_only()
    {
        var id = NewId();
        var reentrant = ActorProxy.Create<ICounterActor>(new ActorId(id), "ReentrantActor", Options);
        Assert.Equal($"{id} heard {id}", await reentrant.CallThroughAsync(id));

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        var stuck = rig.Client.PutAsync($"{client.Http}/v1.0/actors/CounterActor/{id}/method/{nameof(ICounterActor.CallThroughAsync)}",
            new StringContent($"\"{id}\"", Encoding.UTF8, "application/json"), limit.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stuck);
    }

    [Fact]
    public async Task An_actors_exception_reaches_its_caller()
    {
        var failure = await Assert.ThrowsAsync<ActorMethodInvocationException>(() => Proxy(NewId()).FailAsync());

        Assert.Contains("on purpose", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_timer_fires_until_it_is_stopped()
    {
        var id = NewId();
        await Proxy(id).StartTimerAsync("tick");
        await Wait.UntilAsync("the timer fires three times", () => Happenings.Count($"timer {id} tick") >= 3);
        await Proxy(id).StopTimerAsync("tick");
        var fired = Happenings.Count($"timer {id} tick");
        await Proxy(id).StartTimerAsync("other");
        await Wait.UntilAsync("another timer fires three times", () => Happenings.Count($"timer {id} other") >= 3);

        // At most the tick that was already waiting for its turn.
        Assert.InRange(Happenings.Count($"timer {id} tick"), fired, fired + 1);
        await Proxy(id).StopTimerAsync("other");
    }

    [Fact]
    public async Task A_reminder_fires_and_can_be_read_and_removed()
    {
        var id = NewId();
        await Proxy(id).RemindAsync("often", 20, 50, null);
        Assert.True(await Proxy(id).HasReminderAsync("often"));
        await Wait.UntilAsync("the reminder fires three times", () => Happenings.Count($"reminder {id} often data of often") >= 3);
        await Proxy(id).ForgetAsync("often");

        using var gone = await rig.Client.GetAsync($"{host.Http}/v1.0/actors/CounterActor/{id}/reminders/often", Token);
        await StateContract.AssertErrorAsync(gone, 404, "ERR_ACTOR_REMINDER_NOT_FOUND");
    }

    [Fact]
    public async Task A_reminder_with_repetitions_fires_that_often()
    {
        var id = NewId();
        await Proxy(id).RemindAsync("twice", 10, 1000, 2);
        await Proxy(id).RemindAsync("later", 10, 1000, 4);
        await Wait.UntilAsync("the longer reminder is through", () => Happenings.Count($"reminder {id} later data of later") >= 4);

        Assert.Equal(2, Happenings.Count($"reminder {id} twice data of twice"));
    }

    [Fact]
    public async Task A_reminder_that_came_due_while_the_host_was_away_fires_when_it_is_back()
    {
        var id = NewId();
        await Proxy(id).RemindAsync("away", 1500, -1, null);
        await rig.StopAsync();
        await Task.Delay(TimeSpan.FromSeconds(1.6), Token);
        Assert.Equal(0, Happenings.Count($"reminder {id} away data of away"));
        await rig.StartAsync();

        await Wait.UntilAsync("the reminder fires", () => Happenings.Count($"reminder {id} away data of away") == 1);
    }

    [Fact]
    public async Task An_idle_actor_is_deactivated_and_wakes_again_with_its_state()
    {
        var id = NewId();
        await Proxy(id).AddAsync(1);
        await Wait.UntilAsync("the actor is deactivated", () => Happenings.Count($"deactivated {id}") == 1);

        Assert.Equal(2, await Proxy(id).AddAsync(1));
        Assert.Equal(2, Happenings.Count($"activated {id}"));
    }

    [Fact]
    public async Task Stopping_the_host_deactivates_what_is_active()
    {
        var id = NewId();
        await Proxy(id).AddAsync(1);
        await rig.StopAsync();

        Assert.Equal(1, Happenings.Count($"deactivated {id}"));
        await rig.StartAsync();
    }

    [Fact]
    public async Task Calls_wait_for_an_app_that_is_coming_back()
    {
        var id = NewId();
        await Proxy(id).AddAsync(1);
        await app!.DisposeAsync();
        app = null;
        await Wait.UntilAsync("the sidecar sees that the app is gone", () => rig.Host!.Apps.Find("actors")!.State.Health != Hosting.AppHealth.Ready);
        var call = Proxy(id).AddAsync(1);
        await StartAppAsync();

        Assert.Equal(2, await call);
    }

    [Fact]
    public async Task Refusals_are_daprds()
    {
        using var noHost = await rig.Client.PutAsync($"{client.Http}/v1.0/actors/Nobody/1/method/x", null, Token);
        using var inactive = await rig.Client.PutAsync($"{host.Http}/v1.0/actors/CounterActor/{NewId()}/state",
            new StringContent("""[{"operation":"upsert","request":{"key":"k","value":1}}]"""), Token);
        using var foreign = await rig.Client.PutAsync($"{client.Http}/v1.0/actors/CounterActor/1/reminders/r", new StringContent("""{"dueTime":"0h0m1s0ms"}"""), Token);
        using var reserved = await rig.Client.PutAsync($"{host.Http}/v1.0/actors/dapr.internal.x/1/timers/t", new StringContent("""{"dueTime":"0h0m1s0ms"}"""), Token);
        using var neither = await rig.Client.PutAsync($"{host.Http}/v1.0/actors/CounterActor/1/reminders/r", new StringContent("{}"), Token);
        using var days = await rig.Client.PutAsync($"{host.Http}/v1.0/actors/CounterActor/1/reminders/r", new StringContent("""{"period":"P1D"}"""), Token);
        using var unknown = await rig.Client.PutAsync($"{client.Http}/v1.0/actors/CounterActor/1/method/nothing", null, Token);
        using var ttl = await PutStateAsync("""[{"operation":"upsert","request":{"key":"k","value":1,"metadata":{"ttlInSeconds":"5"}}}]""");

        await StateContract.AssertErrorAsync(noHost, 404, "ERR_ACTOR_NO_ADDRESS");
        await StateContract.AssertErrorAsync(inactive, 400, "ERR_ACTOR_INSTANCE_MISSING");
        await StateContract.AssertErrorAsync(foreign, 403, "ERR_ACTOR_REMINDER_NON_HOSTED");
        await StateContract.AssertErrorAsync(reserved, 403, "ERR_ACTOR_TYPE_RESERVED");
        await StateContract.AssertErrorAsync(neither, 400, "ERR_MALFORMED_REQUEST");
        await StateContract.AssertErrorAsync(days, 400, "ERR_MALFORMED_REQUEST");
        await StateContract.AssertErrorAsync(unknown, 500, "ERR_ACTOR_INVOKE_METHOD");
        await StateContract.AssertErrorAsync(ttl, 500, "ERR_ACTOR_STATE_TRANSACTION_SAVE");
    }

    [Fact]
    public async Task A_reminder_is_not_overwritten_when_that_is_not_wanted()
    {
        var url = $"{host.Http}/v1.0/actors/CounterActor/{NewId()}/reminders/r";
        using var first = await rig.Client.PutAsync(url, new StringContent("""{"dueTime":"1h0m0s0ms","data":"MQ=="}"""), Token);
        using var second = await rig.Client.PutAsync(url, new StringContent("""{"dueTime":"2h0m0s0ms","overwrite":false}"""), Token);

        Assert.Equal(HttpStatusCode.NoContent, first.StatusCode);
        await StateContract.AssertErrorAsync(second, 409, "ERR_ACTOR_REMINDER_ALREADY_EXISTS");
        Assert.Contains("1h0m0s0ms", await rig.Client.GetStringAsync(url, Token), StringComparison.Ordinal);
        using var deleted = await rig.Client.DeleteAsync(url, Token);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private ActorProxyOptions Options => new() { HttpEndpoint = client.Http };

    private ICounterActor Proxy(string id) => ActorProxy.Create<ICounterActor>(new ActorId(id), "CounterActor", Options);

    private static string NewId() => Guid.CreateVersion7().ToString("N");

    private async Task<HttpResponseMessage> PutStateAsync(string body)
    {
        var id = NewId();
        await Proxy(id).EchoAsync("wake");
        return await rig.Client.PutAsync($"{host.Http}/v1.0/actors/CounterActor/{id}/state", new StringContent(body), Token);
    }

    private async Task StartAppAsync() => app = await HostedTestApp.StartAsync(host.AppPort, web => web.MapActorsHandlers(), services => services.AddActors(options =>
    {
        options.HttpEndpoint = host.Http;
        options.ActorIdleTimeout = TimeSpan.FromSeconds(1);
        options.ActorScanInterval = TimeSpan.FromMilliseconds(100);
        options.Actors.RegisterActor<CounterActor>();
        options.Actors.RegisterActor<ReentrantActor>(new ActorRuntimeOptions { ReentrancyConfig = new ActorReentrancyConfig { Enabled = true, MaxStackDepth = 5 } });
    }));
}
