using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Overflow;

namespace RenderTrust.Scheduler.Tests.Overflow;

public sealed class OverflowFactTests(WorldFixture fixture) : IClassFixture<WorldFixture>
{
    private readonly SchedulerWorld world = fixture.World.Fresh();

    [Fact]
    public async Task That_a_unit_overflowed_is_told_once_with_its_cause()
    {
        var creator = await world.CreatorAsync();
        var node = await world.NodeAsync("fleet");
        var spec = SchedulerWorld.Spec([node], units: 1);
        var task = (await world.AcceptedAsync(creator, spec)).TaskId!.Value;
        var key = TaskIds.KeyOf(creator, spec.JobId);

        for (var time = 0; time < 2; time++)
        {
            await using var connection = await world.Db.OpenConnectionAsync(TestContext.Current.CancellationToken);
            await using var batch = new NpgsqlBatch(connection);
            OnUnitOverflowed.Tell(batch, key, 0, "it failed on two nodes", DateTimeOffset.UtcNow);
            await batch.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        world.Services.GetRequiredService<Outbox>().Wake();
        var told = await SchedulerWorld.UntilAsync(
            "the fact", () => Task.FromResult(world.Neighbours.Published.Where(message => message.Topic == "overflow" && message.Body.Contains(spec.JobId.ToString(), StringComparison.Ordinal)).ToList()),
            messages => messages.Count > 0);
        var fact = JsonDocument.Parse(Assert.Single(told).Body).RootElement;
        Assert.Equal("broadcast", told[0].Component);
        var body = fact.TryGetProperty("data", out var data) ? data : fact;
        Assert.Equal(
            (spec.JobId.ToString(), task.ToString(), 0, "it failed on two nodes"),
            (body.GetProperty("jobId").GetString(), body.GetProperty("taskId").GetString(), body.GetProperty("unitIndex").GetInt32(), body.GetProperty("cause").GetString()));
    }
}
