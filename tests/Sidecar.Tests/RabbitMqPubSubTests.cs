using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapr.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RabbitMQ.Client;

namespace RenderTrust.Sidecar.Tests;

public sealed class RabbitMqPubSubTests(RabbitMqServer rabbit) : PubSubContract
{
    public override async ValueTask InitializeAsync()
    {
        await rabbit.StartedAsync();
        await base.InitializeAsync();
    }

    protected override void AddBroker(string name, string settings = "") => Rig.Component(name, "pubsub.rabbitmq", metadata: string.Join(
        ", ", SidecarRig.Setting("connectionString", rabbit.Address), SidecarRig.Setting("durable", "true"), SidecarRig.Setting("deletedWhenUnused", "false"),
        SidecarRig.Setting("deliveryMode", "2"), SidecarRig.Setting("publisherConfirm", "true"), SidecarRig.Setting("requeueInFailure", "true")));

    [Fact]
    public async Task The_exchange_is_the_topic_and_the_queue_has_the_app_id_and_waits_while_the_app_is_away()
    {
        await Dapr.PublishEventAsync("pubsub", Topic, "before", Token);
        await ArrivedAsync("plain", 1);
        await Rig.StopAsync();
        await using (var connection = await new ConnectionFactory { Uri = new Uri(rabbit.Address) }.CreateConnectionAsync(Token))
        await using (var channel = await connection.CreateChannelAsync(cancellationToken: Token))
        {
            await channel.BasicPublishAsync(Topic, "", """{"specversion":"1.0","id":"away","type":"t","source":"s","data":"away"}"""u8.ToArray(), Token);
            await Wait.UntilAsync("the queue holds it", async () => (await channel.QueueDeclarePassiveAsync($"subscriber-{Topic}", Token)).MessageCount == 1);
        }

        await Rig.StartAsync();
        var got = await ArrivedAsync("plain", 2);

        Assert.Equal(["before", "away"], got.Select(d => (string?)d.Event["data"]));
    }
}

/// <summary>Settings beyond the contract, and a broker that dies.</summary>
public sealed class RabbitMqComponentTests(RabbitMqServer rabbit) : IAsyncDisposable
{
    private readonly SidecarRig rig = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await rig.DisposeAsync();

    [Fact]
    public async Task With_a_uuid_as_consumer_every_app_hears_everything_and_leaves_nothing_behind()
    {
        var topic = $"b-{Guid.CreateVersion7():N}";
        rig.Component("broadcast", "pubsub.rabbitmq", metadata: $"{SidecarRig.Setting("connectionString", await rabbit.StartedAsync())}, {SidecarRig.Setting("consumerID", "{uuid}")}");
        var heard = new ConcurrentQueue<string>();
        var first = rig.AddApp("first");
        var second = rig.AddApp("second");
        await using var one = await ListenAsync(first, topic, heard);
        await using var two = await ListenAsync(second, topic, heard);
        await rig.StartAsync();
        using var dapr = new DaprClientBuilder().UseHttpEndpoint(first.Http).UseGrpcEndpoint(first.Grpc).Build();
        await dapr.PublishEventAsync("broadcast", topic, "to all", Token);
        await Wait.UntilAsync("both apps hear it", () => heard.Order().SequenceEqual(["first", "second"]), () => string.Join(",", heard));
        await rig.StopAsync();

        // Without a queue, a message that must reach one is returned.
        await using var connection = await new ConnectionFactory { Uri = new Uri(rabbit.Address) }.CreateConnectionAsync(Token);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Token);
        await Wait.UntilAsync("no queue is left", async () =>
        {
            try
            {
                await channel.BasicPublishAsync(topic, "", mandatory: true, "anyone?"u8.ToArray(), Token);
                return false;
            }
            catch (RabbitMQ.Client.Exceptions.PublishException e)
            {
                return e.IsReturn;
            }
        });
    }

    [Fact]
    public async Task What_was_acknowledged_survives_a_killed_broker_and_delivery_goes_on()
    {
        await rabbit.StartedAsync();
        await using var own = new RabbitMqServer();
        await own.StartedAsync();
        rig.Component("broadcast", "pubsub.rabbitmq", metadata: string.Join(
            ", ", SidecarRig.Setting("connectionString", own.Address), SidecarRig.Setting("durable", "true"), SidecarRig.Setting("deletedWhenUnused", "false"),
            SidecarRig.Setting("deliveryMode", "2"), SidecarRig.Setting("publisherConfirm", "true"), SidecarRig.Setting("requeueInFailure", "true"), SidecarRig.Setting("reconnectWaitSeconds", "1")));
        var heard = new ConcurrentQueue<string>();
        var refuses = true;
        var app = rig.AddApp("app");
        await using var web = await ListenAsync(app, "t", heard, body => refuses ? 500 : 200);
        await rig.StartAsync();
        var publish = $"{app.Http}/v1.0/publish/broadcast/t";
        using (var before = await rig.Client.PostAsJsonAsync(publish, "kept", Token))
        {
            Assert.Equal(HttpStatusCode.NoContent, before.StatusCode);
        }

        await own.KillAsync();
        using (var during = await rig.Client.PostAsJsonAsync(publish, "refused", Token))
        {
            await StateContract.AssertErrorAsync(during, 500, "ERR_PUBSUB_PUBLISH_MESSAGE");
        }

        refuses = false;
        await own.StartAsync();
        await Wait.UntilAsync("what was acknowledged arrives", () => heard.Contains("app:kept"), () => string.Join(",", heard));
        await Wait.UntilAsync("publishing works again", async () =>
        {
            using var after = await rig.Client.PostAsJsonAsync(publish, "after", Token);
            return after.StatusCode == HttpStatusCode.NoContent;
        });
        await Wait.UntilAsync("it arrives", () => heard.Contains("app:after"), () => string.Join(",", heard));
    }

    [Theory]
    [InlineData("http://127.0.0.1", "is no amqp")]
    [InlineData("amqp://guest:s3cret@127.0.0.1:1/", "cannot be connected to")]
    public async Task An_address_that_cannot_work_is_named_without_its_password(string address, string says)
    {
        rig.Component("pubsub", "pubsub.rabbitmq", metadata: SidecarRig.Setting("connectionString", address));
        rig.AddApp("app", withPort: false);

        var failure = await Assert.ThrowsAsync<Configuration.ConfigurationException>(() => rig.StartAsync());

        Assert.Contains(says, failure.Message, StringComparison.Ordinal);
        Assert.Contains("pubsub.yaml", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", failure.Message, StringComparison.Ordinal);
    }

    private static Task<HostedTestApp> ListenAsync(RigApp app, string topic, ConcurrentQueue<string> heard, Func<string?, int>? answer = null) =>
        HostedTestApp.StartAsync(app.AppPort, web =>
        {
            web.MapGet("/dapr/subscribe", () => new object[] { new { pubsubname = "broadcast", topic, route = "/heard" } });
            web.MapPost("/heard", async context =>
            {
                var data = (string?)(await JsonNode.ParseAsync(context.Request.Body))!["data"];
                context.Response.StatusCode = answer?.Invoke(data) ?? 200;
                if (context.Response.StatusCode == 200)
                {
                    heard.Enqueue(answer is null ? app.Id : $"{app.Id}:{data}");
                }
            });
        });
}
