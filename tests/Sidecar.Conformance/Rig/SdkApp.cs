using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Dapr;
using Dapr.Actors;
using Dapr.Actors.Client;
using Dapr.Actors.Runtime;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace RenderTrust.Sidecar.Conformance.Rig;

public interface ITallyActor : IActor
{
    Task<int> AddAsync(int amount);

    Task<string> AskAsync(string other);

    Task<string> NameAsync();

    Task FailAsync();

    Task StartTimerAsync(string name);

    Task StopTimerAsync(string name);

    Task RemindAsync(string name, int dueMilliseconds);

    Task<string> DescribeReminderAsync(string name);

    Task ForgetAsync(string name);

    Task RemoveAsync();
}

/// <summary>An actor as a user of the SDK writes it.</summary>
public sealed class TallyActor(ActorHost host) : Actor(host), ITallyActor, IRemindable
{
    public async Task<int> AddAsync(int amount)
    {
        var total = await StateManager.GetOrAddStateAsync("total", 0) + amount;
        await StateManager.SetStateAsync("total", total);
        return total;
    }

    public Task<string> AskAsync(string other) => ProxyFactory.CreateActorProxy<ITallyActor>(new ActorId(other), nameof(TallyActor)).NameAsync();

    public Task<string> NameAsync() => Task.FromResult(Id.GetId());

    public Task FailAsync() => throw new InvalidOperationException("on purpose");

    public Task StartTimerAsync(string name) =>
        RegisterTimerAsync(name, nameof(OnTimerAsync), Encoding.UTF8.GetBytes(name), TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(50));

    public Task StopTimerAsync(string name) => UnregisterTimerAsync(name);

    public Task OnTimerAsync(byte[] state)
    {
        SdkApp.Happened($"timer {Id} {Encoding.UTF8.GetString(state)}");
        return Task.CompletedTask;
    }

    public Task RemindAsync(string name, int dueMilliseconds) =>
        RegisterReminderAsync(name, Encoding.UTF8.GetBytes("about " + name), TimeSpan.FromMilliseconds(dueMilliseconds), TimeSpan.FromMilliseconds(-1));

    public async Task<string> DescribeReminderAsync(string name)
    {
        var reminder = await GetReminderAsync(name);
        return $"{reminder.Name} {reminder.DueTime.TotalSeconds}";
    }

    public Task ForgetAsync(string name) => UnregisterReminderAsync(name);

    public Task RemoveAsync() => StateManager.RemoveStateAsync("total");

    public Task ReceiveReminderAsync(string reminderName, byte[] state, TimeSpan dueTime, TimeSpan period)
    {
        SdkApp.Happened($"reminder {Id} {reminderName} {Encoding.UTF8.GetString(state)}");
        return Task.CompletedTask;
    }
}

public sealed record Headline(string Text);

/// <summary>An app written with Dapr's .NET SDK: actors, typed subscriptions, an endpoint to invoke.</summary>
internal sealed class SdkApp(WebApplication web) : IAsyncDisposable
{
    private static readonly ConcurrentQueue<string> Happenings = new();

    public static void Happened(string what) => Happenings.Enqueue(what);

    public static Task UntilAsync(string what, int times = 1) =>
        Wait.UntilAsync($"'{what}' happens {times} times", () => Happenings.Count(happened => happened == what) >= times, () => string.Join(" | ", Happenings));

    public static int Count(string what) => Happenings.Count(happened => happened == what);

    public static async Task<SdkApp> StartAsync(DaprSidecar sidecar)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, sidecar.AppPort, listen => listen.Protocols = HttpProtocols.Http1));
        builder.Services.AddRouting();
        builder.Services.AddControllers().AddDapr(dapr => dapr.UseHttpEndpoint(sidecar.Http).UseGrpcEndpoint(sidecar.Grpc));
        builder.Services.AddActors(options =>
        {
            options.HttpEndpoint = sidecar.Http;
            options.Actors.RegisterActor<TallyActor>();
        });
        var web = builder.Build();
        web.UseRouting();
        web.UseCloudEvents();
        web.MapSubscribeHandler();
        web.MapActorsHandlers();
        web.MapPost("/headlines", (Headline headline) => Happened($"headline {headline.Text}")).WithTopic("pubsub", "headlines");
        web.MapPost("/greet", (Headline headline) => new Headline($"hello {headline.Text}"));
        web.MapGet("/refuse", () => Results.Problem("not today", statusCode: StatusCodes.Status409Conflict));
        await web.StartAsync();
        return new SdkApp(web);
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await web.StopAsync(now.Token);
        await web.DisposeAsync();
    }
}
