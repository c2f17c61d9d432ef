using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults.Tests;

/// <summary>Calls through a scripted sidecar on a real port.</summary>
public sealed class SidecarCallTests : IAsyncLifetime
{
    private WebApplication sidecar = null!;
    private RequestDelegate answer = context => Task.CompletedTask;
    private SidecarHttp http = null!;
    private AppInvoker invoker = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        sidecar = builder.Build();
        sidecar.Run(context => answer(context));
        await sidecar.StartAsync();
        http = Client(sidecar.Urls.First());
        invoker = new AppInvoker(http);
    }

    [Fact]
    public async Task A_call_goes_to_the_apps_method_and_comes_back_typed()
    {
        var path = "";
        answer = context =>
        {
            path = context.Request.Path;
            return context.Response.WriteAsJsonAsync(new CancelTaskRequest(TenantId.New(), "why"), WireJson.Options);
        };

        var response = await invoker.PostAsync<CancelTaskRequest, CancelTaskRequest>(Apps.Scheduler, "/internal/tasks", new(TenantId.New(), "x"), Token);

        Assert.Equal("why", response.Reason);
        Assert.Equal("/v1.0/invoke/scheduler/method/internal/tasks", path);
    }

    [Fact]
    public async Task A_refusal_carries_status_and_detail()
    {
        answer = async context =>
        {
            context.Response.StatusCode = 422;
            context.Response.ContentType = "application/problem+json";
            await context.Response.WriteAsync("""{"detail":"no such hold"}""");
        };

        var exception = await Assert.ThrowsAsync<AppCallException>(() => invoker.GetAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", Token));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, exception.StatusCode);
        Assert.Equal("no such hold", exception.Detail);
    }

    [Fact]
    public async Task A_404_is_null_where_it_was_expected()
    {
        answer = context =>
        {
            context.Response.StatusCode = 404;
            return Task.CompletedTask;
        };

        Assert.Null(await invoker.FindAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", Token));
    }

    [Fact]
    public async Task A_404_of_the_sidecar_is_not_the_apps()
    {
        answer = async context =>
        {
            context.Response.StatusCode = 404;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync("""{"errorCode":"ERR_DIRECT_INVOKE","message":"app ledger is not known"}""");
        };

        await Assert.ThrowsAsync<UnknownOutcomeException>(() => invoker.FindAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", Token));
    }

    [Fact]
    public async Task A_silent_app_is_an_unknown_outcome()
    {
        answer = context => Task.Delay(Timeout.Infinite, context.RequestAborted);

        await Assert.ThrowsAsync<UnknownOutcomeException>(() => invoker.GetAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", TimeSpan.FromMilliseconds(100), Token));
    }

    [Fact]
    public async Task A_cut_connection_is_an_unknown_outcome()
    {
        answer = context =>
        {
            context.Abort();
            return Task.CompletedTask;
        };

        await Assert.ThrowsAsync<UnknownOutcomeException>(() => invoker.GetAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", Token));
    }

    [Fact]
    public async Task A_sidecar_that_lost_the_app_is_an_unknown_outcome()
    {
        answer = async context =>
        {
            context.Response.StatusCode = 500;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync("""{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke"}""");
        };

        await Assert.ThrowsAsync<UnknownOutcomeException>(() => invoker.GetAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", Token));
    }

    [Fact]
    public async Task A_sidecar_that_is_not_there_took_nothing()
    {
        using var nobody = Client("http://127.0.0.1:1");

        await Assert.ThrowsAsync<AppUnavailableException>(() => new AppInvoker(nobody).GetAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", Token));
    }

    [Fact]
    public async Task A_callers_own_cancellation_stays_a_cancellation()
    {
        answer = context => Task.Delay(Timeout.Infinite, context.RequestAborted);
        using var source = new CancellationTokenSource(100);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => invoker.GetAsync<CancelTaskRequest>(Apps.Ledger, "/internal/x", source.Token));
    }

    [Fact]
    public async Task A_published_message_is_a_cloud_event_with_the_message_id()
    {
        var body = default(JsonElement);
        var seen = "";
        answer = async context =>
        {
            seen = $"{context.Request.Path} {context.Request.ContentType}";
            body = (await JsonDocument.ParseAsync(context.Request.Body)).RootElement.Clone();
            context.Response.StatusCode = 204;
        };
        var publisher = new DaprPublisher(http, new ServiceApp("identity", 0, "x", false), TimeProvider.System);
        var id = Guid.CreateVersion7();

        await publisher.PublishAsync(Topics.Broadcast, Topics.Revocations, id, """{"version":7}""", Token);

        Assert.Equal("/v1.0/publish/broadcast/revocations application/cloudevents+json", seen);
        Assert.Equal(id.ToString(), body.GetProperty("id").GetString());
        Assert.Equal(7, body.GetProperty("data").GetProperty("version").GetInt32());
        Assert.Equal("identity", body.GetProperty("source").GetString());
    }

    [Fact]
    public async Task A_message_and_a_call_carry_the_current_trace()
    {
        var body = default(JsonElement);
        var headers = new List<string>();
        answer = async context =>
        {
            headers.Add($"{context.Request.Headers["traceparent"]} {context.Request.Headers["tracestate"]}");
            body = (await JsonDocument.ParseAsync(context.Request.Body)).RootElement.Clone();
            context.Response.StatusCode = 204;
        };
        var publisher = new DaprPublisher(http, new ServiceApp("identity", 0, "x", false), TimeProvider.System);
        using var activity = new System.Diagnostics.Activity("work");
        activity.SetParentId("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        activity.TraceStateString = "other=1";
        activity.Start();

        await publisher.PublishAsync(Topics.PubSub, Topics.Usage, Guid.CreateVersion7(), "{}", Token);

        Assert.Equal((activity.Id, "other=1"), (body.GetProperty("traceparent").GetString(), body.GetProperty("tracestate").GetString()));
        Assert.Equal([$"{activity.Id} other=1"], headers);
    }

    [Fact]
    public async Task A_broker_that_refuses_is_an_error_so_the_outbox_keeps_the_message()
    {
        answer = context =>
        {
            context.Response.StatusCode = 404;
            return context.Response.WriteAsync("no such component");
        };
        var publisher = new DaprPublisher(http, new ServiceApp("identity", 0, "x", false), TimeProvider.System);

        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => publisher.PublishAsync("nowhere", "t", Guid.CreateVersion7(), "{}", Token));

        Assert.Contains("no such component", exception.Message, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await sidecar.DisposeAsync();
    }

    private static SidecarHttp Client(string address) =>
        new(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["DAPR_HTTP_ENDPOINT"] = address }).Build(), Options.Create(new SidecarOptions()));
}
