using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Resilience;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Tests;

/// <summary>kind: Resiliency on calls to apps, on deliveries and on stores.</summary>
public sealed class ResiliencyTests : IAsyncDisposable
{
    private const string Head = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: r}\n";

    private readonly SidecarRig rig = new();
    private readonly ConcurrentQueue<string> calls = new();
    private Func<int, HttpContext, Task> answer = (_, _) => Task.CompletedTask;
    private RigApp caller = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, int, string> BrokenFiles => new()
    {
        { Head + "spec:\n  policies:\n    retries:\n      often: {policy: sometimes}\n", 7, "spec.policies.retries.often.policy" },
        { Head + "spec:\n  policies:\n    retries:\n      often:\n        maxRetries: many\n", 8, "spec.policies.retries.often.maxRetries" },
        { Head + "spec:\n  policies:\n    retries:\n      often:\n        matching:\n          httpStatusCodes: 5xx\n", 9, "spec.policies.retries.often.matching.httpStatusCodes" },
        { Head + "spec:\n  policies:\n    timeouts:\n      short: soon\n", 7, "spec.policies.timeouts.short" },
        { Head + "spec:\n  policies:\n    circuitBreakers:\n      cb:\n        trip: totalFailures / requests > 0.5\n", 8, "spec.policies.circuitBreakers.cb.trip" },
        { Head + "spec:\n  policies:\n    circuitBreakers:\n      cb: {}\n  targets:\n    actors:\n      T:\n        circuitBreaker: cb\n        circuitBreakerScope: id\n", 12, "spec.targets.actors.T.circuitBreakerScope" },
        { Head + "spec:\n  targets:\n    apps:\n      other:\n        retry: unknown\n", 8, "spec.targets.apps.other.retry" },
        { Head + "spec:\n  targets:\n    machines: {}\n", 6, "spec.targets.machines" },
        { "apiVersion: v1\nkind: Resiliency\nspec: {}\n", 1, "apiVersion" },
    };

    [Theory]
    [MemberData(nameof(BrokenFiles))]
    public async Task A_mistake_is_told_with_file_line_and_field(string yaml, int line, string field)
    {
        rig.Resource("resiliency", yaml);
        rig.AddApp("one", withPort: false);
        var failure = await Assert.ThrowsAsync<ConfigurationException>(() => rig.StartAsync());

        Assert.StartsWith($"{Path.Combine(rig.Root, "resources", "resiliency.yaml")}:{line}: {field}: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_is_sent_again_whole_until_the_app_takes_it()
    {
        await StartAsync("retries: {r: {policy: constant, duration: 10ms, maxRetries: 3}}", "apps: {callee: {retry: r}}");
        answer = (count, context) => Status(context, count < 3 ? 503 : 200);
        using var response = await rig.Client.PostAsync($"{caller.Http}/v1.0/invoke/callee/method/work?n=1", new StringContent("body"), Token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["POST /work?n=1 body", "POST /work?n=1 body", "POST /work?n=1 body"], calls);
    }

    [Fact]
    public async Task The_apps_own_answer_is_passed_on_when_retries_are_used_up()
    {
        await StartAsync("retries: {r: {policy: exponential, duration: 5ms, maxInterval: 10ms, maxRetries: 2}}", "apps: {callee: {retry: r}}");
        answer = async (_, context) =>
        {
            context.Response.StatusCode = 503;
            await context.Response.WriteAsync("busy");
        };
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/work", Token);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "busy", 3), (response.StatusCode, await response.Content.ReadAsStringAsync(Token), calls.Count));
    }

    [Theory]
    [InlineData(429, 2)]
    [InlineData(500, 2)]
    [InlineData(404, 1)]
    public async Task Only_codes_that_match_are_tried_again(int status, int expected)
    {
        await StartAsync("retries: {r: {duration: 1ms, maxRetries: 1, matching: {httpStatusCodes: '429,500-599'}}}", "apps: {callee: {retry: r}}");
        answer = (_, context) => Status(context, status);
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/work", Token);

        Assert.Equal((status, expected), ((int)response.StatusCode, calls.Count));
    }

    [Fact]
    public async Task A_policy_by_a_default_name_holds_where_no_target_is_named_and_scopes_keep_it_from_others()
    {
        await StartAsync("retries: {DefaultAppRetryPolicy: {duration: 1ms, maxRetries: 1}}", "apps: {}", "scopes: [caller]");
        answer = (_, context) => Status(context, 500);
        using var covered = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/covered", Token);
        using var other = await rig.Client.GetAsync($"http://127.0.0.1:{rig.Host!.Apps.Find("callee")!.Definition.HttpPort}/v1.0/invoke/callee/method/other", Token);

        Assert.Equal((2, 1), (calls.Count(call => call.Contains("covered", StringComparison.Ordinal)), calls.Count(call => call.Contains("other", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task A_call_that_takes_too_long_is_ended_with_the_cause()
    {
        await StartAsync("timeouts: {t: 100ms}", "apps: {callee: {timeout: t}}");
        answer = (_, context) => Task.Delay(Timeout.Infinite, context.RequestAborted);
        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/work", Token);
        var body = await response.Content.ReadAsStringAsync(Token);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains("ERR_DIRECT_INVOKE", body, StringComparison.Ordinal);
        Assert.Contains("timeout exceeded", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_open_breaker_refuses_without_a_call()
    {
        await StartAsync("circuitBreakers: {cb: {timeout: 1h, trip: consecutiveFailures >= 2}}", "apps: {callee: {circuitBreaker: cb}}");
        answer = (_, context) => Status(context, 500);
        for (var i = 0; i < 2; i++)
        {
            using var failed = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/work", Token);
        }

        using var response = await rig.Client.GetAsync($"{caller.Http}/v1.0/invoke/callee/method/work", Token);

        Assert.Contains("circuit breaker is open", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.Equal(2, calls.Count);
    }

    [Fact]
    public async Task A_delivery_is_tried_again_before_the_message_goes_to_the_dead_letters()
    {
        rig.Component("bus", "pubsub.in-memory");
        rig.Resource("subscriptions", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: s}
            spec: {pubsubname: bus, topic: t, deadLetterTopic: dead, routes: {default: /events}}
            scopes: [callee]
            ---
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: d}
            spec: {pubsubname: bus, topic: dead, routes: {default: /dead}}
            scopes: [callee]
            """);
        await StartAsync("retries: {r: {duration: 1ms, maxRetries: 2}}", "components: {bus: {inbound: {retry: r}}}");
        answer = (_, context) => Status(context, context.Request.Path == "/events" ? 500 : 200);
        using var published = await rig.Client.PostAsync($"{caller.Http}/v1.0/publish/bus/t", new StringContent("{}", Encoding.UTF8, "application/json"), Token);
        await Wait.UntilAsync("the message is among the dead letters", () => calls.Any(call => call.StartsWith("POST /dead", StringComparison.Ordinal)), () => string.Join('\n', calls));

        Assert.Equal(3, calls.Count(call => call.StartsWith("POST /events", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_store_that_fails_is_asked_again_and_a_refusal_is_not()
    {
        var retry = new RetryDefinition(IsExponential: false, TimeSpan.Zero, TimeSpan.Zero, MaxRetries: 2, null, null);
        var store = new FailingStore { Failures = 2 };
        var component = new StateComponent("state", store, null, isActorStore: false);
        component.Guard(new ResiliencePolicy("component state", new PolicyDefinition(null, retry, null), TimeProvider.System));
        var write = new StateRequest("key", new byte[] { 1 }, null, FirstWrite: false, new Dictionary<string, string>());

        await component.WriteAsync(write, Token);
        Assert.Equal(3, store.Writes);

        store.Outcome = StateOutcome.EtagMismatch;
        await Assert.ThrowsAsync<Api.DaprError>(() => component.WriteAsync(write, Token));
        Assert.Equal(4, store.Writes);

        store.Failures = 9;
        var failure = await Assert.ThrowsAsync<Api.DaprError>(() => component.WriteAsync(write, Token));
        Assert.Equal(("ERR_STATE_SAVE", 7), (failure.Code, store.Writes));
    }

    [Fact]
    public void A_breaker_opens_by_its_rule_and_closes_again_after_a_successful_trial()
    {
        var time = new FakeTimeProvider();
        var breaker = new Breaker(new BreakerDefinition(1, TimeSpan.Zero, TimeSpan.FromSeconds(10), RoutingRule.Parse("consecutiveFailures >= 2", BreakerCounts.Names)), time);
        Run(breaker, false);
        Run(breaker, true);
        Run(breaker, false);
        var afterOne = Run(breaker, false);
        var open = breaker.TryEnter(out _);
        time.Advance(TimeSpan.FromSeconds(10));
        var trial = breaker.TryEnter(out var ticket);
        var second = breaker.TryEnter(out _);
        breaker.Leave(ticket, success: false);
        var openAgain = breaker.TryEnter(out _);
        time.Advance(TimeSpan.FromSeconds(10));
        var closing = Run(breaker, true);

        Assert.Equal((true, false), (afterOne, open));
        Assert.Equal((true, false, false), (trial, second, openAgain));
        Assert.True(closing && Run(breaker, false) && breaker.TryEnter(out _));
    }

    [Fact]
    public void A_breaker_forgets_its_counts_after_its_interval_and_what_began_before_it_opened()
    {
        var time = new FakeTimeProvider();
        var breaker = new Breaker(new BreakerDefinition(1, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10), RoutingRule.Parse("totalFailures > 1", BreakerCounts.Names)), time);
        Run(breaker, false);
        time.Advance(TimeSpan.FromSeconds(5));
        Run(breaker, false);
        breaker.TryEnter(out var early);
        Run(breaker, false);
        time.Advance(TimeSpan.FromSeconds(10));
        breaker.TryEnter(out var trial);
        breaker.Leave(early, success: false);
        breaker.Leave(trial, success: true);

        Assert.True(breaker.TryEnter(out _));
    }

    [Theory]
    [InlineData(0, 0.0, 50)]
    [InlineData(0, 0.5, 100)]
    [InlineData(1, 0.5, 150)]
    [InlineData(2, 0.5, 225)]
    [InlineData(9, 0.5, 400)]
    [InlineData(9, 1.0, 400)]
    [InlineData(5000, 0.0, 200)]
    public void Exponential_pauses_grow_by_half_around_a_spread_up_to_the_most(int attempt, double random, double milliseconds)
    {
        var retry = new RetryDefinition(true, TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(400), -1, null, null);

        Assert.Equal(milliseconds, ResiliencePolicy.DelayBefore(retry, attempt, random).TotalMilliseconds, 3);
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            await app.DisposeAsync();
        }

        await rig.DisposeAsync();
    }

    private HostedTestApp? app;

    private async Task StartAsync(string policies, string targets, string scopes = "")
    {
        rig.Resource("resiliency", $"{Head}spec:\n  policies:\n    {policies}\n  targets:\n    {targets}\n{scopes}\n");
        caller = rig.AddApp("caller", withPort: false);
        var callee = rig.AddApp("callee");
        app = await HostedTestApp.StartAsync(callee.AppPort, web => web.MapFallback("{*path}", async context =>
        {
            if (context.Request.Path.StartsWithSegments("/dapr"))
            {
                context.Response.StatusCode = 404;
                return;
            }

            using var reader = new StreamReader(context.Request.Body);
            calls.Enqueue($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString} {await reader.ReadToEndAsync()}".TrimEnd());
            await answer(calls.Count, context);
        }));
        await rig.StartAsync();
    }

    private static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private static bool Run(Breaker breaker, bool success)
    {
        if (!breaker.TryEnter(out var ticket))
        {
            return false;
        }

        breaker.Leave(ticket, success);
        return true;
    }

    /// <summary>Fails as a database does that is away, as often as it is told to.</summary>
    private sealed class FailingStore : IStateStore
    {
        public int Failures { get; set; }
        public int Writes { get; private set; }
        public StateOutcome Outcome { get; set; }

        public Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) => throw new UnreachableException();

        public Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken)
        {
            Writes++;
            return Failures-- > 0 ? throw new Npgsql.NpgsqlException("away") : Task.FromResult(Outcome);
        }

        public Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => throw new UnreachableException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
