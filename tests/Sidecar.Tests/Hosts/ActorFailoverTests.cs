using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Hosts;

/// <summary>
/// Two hosts serve the same actors on one Postgres, while clients increment counters through both. Owners are killed and frozen.
/// 2 kills and one freeze, 20 and 10 with RENDERTRUST_LONG=1.
/// </summary>
public sealed class ActorFailoverTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const int Clients = 6;
    private static readonly string[] Actors = [.. Enumerable.Range(0, 16).Select(i => $"c{i}")];
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(30);

    private readonly CounterBook book = new();
    private readonly List<(HostProcess Host, RigApp App, CounterApp Counter)> hosts = [];
    private readonly ConcurrentQueue<(string Actor, int Value)> acknowledged = new();
    private readonly HttpClient client = new() { Timeout = CallLimit };

    private static bool IsLong => Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        foreach (var name in (string[])["a", "b"])
        {
            var host = new HostProcess(name, database);
            var app = host.Rig.AddApp("counters");
            hosts.Add((host, app, new CounterApp(host, app, book)));
            await hosts[^1].Counter.StartAsync();
            await host.StartAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (host, _, counter) in hosts)
        {
            await host.DisposeAsync();
            await counter.DisposeAsync();
        }

        client.Dispose();
    }

    [Fact]
    public async Task No_increment_is_lost_and_none_counts_twice_when_owners_are_killed_or_frozen()
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var loads = Enumerable.Range(0, Clients).Select(index => LoadAsync(new Random(index), enough.Token)).ToList();
        var (kills, freezes) = IsLong ? (20, 10) : (2, 1);
        var (afterKill, afterFreeze) = (new List<double>(), new List<double>());
        var watch = Stopwatch.StartNew();
        for (var round = 0; round < kills + freezes; round++)
        {
            var (victim, other) = (round % 2, 1 - (round % 2));
            await BothTakeTurnsAsync();
            var away = Stopwatch.StartNew();
            if (round < kills)
            {
                await hosts[victim].Host.KillAsync();
                await AllAnswerAtAsync(other);
                afterKill.Add(away.Elapsed.TotalSeconds);
                hosts[victim].Host.Launch();
                await hosts[victim].Host.ReadyAsync();
            }
            else
            {
                hosts[victim].Host.Signal("STOP");
                await AllAnswerAtAsync(other);
                afterFreeze.Add(away.Elapsed.TotalSeconds);
                hosts[victim].Host.Signal("CONT");
            }
        }

        await BothTakeTurnsAsync();
        await enough.CancelAsync();
        await Task.WhenAll(loads);

        Console.WriteLine(
            $"Measured two hosts of actors: {kills} kills and {freezes} freezes of one or the other in {watch.Elapsed.TotalSeconds:F0} s, {acknowledged.Count} increments acknowledged, "
            + $"{book.Written.Count} written, {book.Refused} turns refused, {book.Late} begun after the next owner's first; every actor answered elsewhere {afterKill.Max():F1} s after a kill "
            + $"and {afterFreeze.Max():F1} s after a freeze at the latest");
        await AssertCountsAsync();
    }

    [Fact]
    public async Task Reminders_of_a_killed_host_fire_at_the_other()
    {
        foreach (var actor in Actors)
        {
            using var call = await client.PutAsync(new Uri($"{Url(0, actor)}/method/increment"), null, Token);
            using var set = await client.PutAsJsonAsync($"{Url(0, actor)}/reminders/tick", new { dueTime = "0s", period = "1s" }, Token);
            Assert.True(set.IsSuccessStatusCode);
        }

        await Wait.UntilAsync("reminders fire at both hosts", () => hosts.TrueForAll(entry => book.Reminded.Keys.Any(key => key.Host == entry.Host.Name)), Seen, HostProcess.BackLimit);
        await hosts[0].Host.KillAsync();
        var before = book.Reminded.Where(entry => entry.Key.Host == "b").ToDictionary(entry => entry.Key.Actor, entry => entry.Value);

        await Wait.UntilAsync("every actor is reminded at the other host", () => Array.TrueForAll(
            Actors, actor => book.Reminded.GetValueOrDefault(("b", actor)) > before.GetValueOrDefault(actor)), Seen, HostProcess.BackLimit);
    }

    private async Task LoadAsync(Random random, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            var actor = Actors[random.Next(Actors.Length)];
            if (await TryIncrementAsync(random.Next(hosts.Count), actor, enough) is { } value)
            {
                acknowledged.Enqueue((actor, value));
            }
            else
            {
                await Task.Delay(20, CancellationToken.None);
            }
        }
    }

    // A call that is not answered may have had its effect or not.
    private async Task<int?> TryIncrementAsync(int host, string actor, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await client.PutAsync(new Uri($"{Url(host, actor)}/method/increment"), null, cancellationToken);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<int>(cancellationToken) : null;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            return null;
        }
    }

    private async Task AllAnswerAtAsync(int host)
    {
        foreach (var actor in Actors)
        {
            await Wait.UntilAsync($"{actor} answers at {hosts[host].Host.Name}", async () =>
            {
                if (await TryIncrementAsync(host, actor, Token) is not { } value)
                {
                    return false;
                }

                acknowledged.Enqueue((actor, value));
                return book.Written.Any(turn => turn.Actor == actor && turn.Value == value && turn.Host == hosts[host].Host.Name);
            }, Seen, HostProcess.BackLimit);
        }
    }

    private async Task BothTakeTurnsAsync()
    {
        var since = book.Written.Count;
        await Wait.UntilAsync("both hosts take turns", () => book.Written.Skip(since).Select(turn => turn.Host).Distinct().Count() == hosts.Count, Seen, HostProcess.BackLimit);
    }

    private async Task AssertCountsAsync()
    {
        var wrong = book.Wrong.ToList();
        foreach (var actor in Actors)
        {
            int? last = null;
            await Wait.UntilAsync($"{actor} answers", async () => (last = await TryIncrementAsync(0, actor, Token)) is not null, Seen, HostProcess.BackLimit);
            var turns = book.Written.Where(turn => turn.Actor == actor).OrderBy(turn => turn.Value).ToList();
            wrong.AddRange(turns.GroupBy(turn => turn.Value).Where(group => group.Count() > 1)
                .Select(group => $"{actor}: {group.Key} was written {group.Count()} times, by {string.Join(" and ", group.Select(turn => $"{turn.Host} under {turn.Token}"))}"));
            wrong.AddRange(turns.Zip(turns.Skip(1)).Where(pair => pair.First.Token > pair.Second.Token)
                .Select(pair => $"{actor}: {pair.Second.Value} was written under token {pair.Second.Token} after {pair.First.Token}"));
            wrong.AddRange(acknowledged.Where(entry => entry.Actor == actor && entry.Value >= last).Select(entry => $"{actor}: {entry.Value} was acknowledged and is lost, it stands at {last}"));
            wrong.AddRange(acknowledged.Where(entry => entry.Actor == actor).GroupBy(entry => entry.Value).Where(group => group.Count() > 1).Select(group => $"{actor}: {group.Key} was acknowledged twice"));
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
        Assert.True(acknowledged.Count >= 100, $"Only {acknowledged.Count} increments were acknowledged.");
    }

    private string Url(int host, string actor) => $"{hosts[host].App.Http}/v1.0/actors/Counter/{actor}";

    private string Seen() =>
        $"reminded {string.Join(", ", book.Reminded)}; written {book.Written.Count}\n" + string.Join('\n', hosts.Select(entry => $"Host {entry.Host.Name}:\n{entry.Host.Output}"));
}
