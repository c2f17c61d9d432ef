using Dapr.Workflow;
using RenderTrust.TestKit;
using RenderTrust.Workflow.Tests.Kills;
using RenderTrust.WorkflowLoad;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>
/// Prints how fast workflows of five activities go through the whole path: client, sidecar process, Postgres, worker. Asserts nothing about time.
/// </summary>
[Collection(nameof(Alone))]
public sealed class RateTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task Hundreds_of_workflows_at_once_all_end_with_their_result()
    {
        var token = TestContext.Current.CancellationToken;
        var count = KillRig.IsLong ? 3000 : 400;
        await using var sidecar = new SidecarProcess(database);
        await sidecar.StartAsync();
        await using var app = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, Shapes.Register);
        var measurement = new RateMeasurement(app.Client, TimeProvider.System);

        await measurement.RunAsync(Shapes.Row, 200, 20, token);
        foreach (var (shape, clients) in ((string, int)[])[(Shapes.Row, 10), (Shapes.Row, 20), (Shapes.Row, 40), (Shapes.Fan, 20), (Shapes.Fan, 40)])
        {
            Console.WriteLine($"Measured workflows of five activities: {await measurement.RunAsync(shape, count, clients, token)}");
        }

        sidecar.AssertRunning();
    }
}
