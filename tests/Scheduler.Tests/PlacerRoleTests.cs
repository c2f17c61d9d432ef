using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace RenderTrust.Scheduler.Tests;

public sealed class PlacerRoleTests
{
    private static readonly string[] LeftToReplicas = ["SuperviseLoop", "RelaySagaSignalsLoop", "ForgetSagasLoop", "ScaleOverflowLoop"];

    [Theory]
    [InlineData("Placer", false)]
    [InlineData("All", true)]
    public async Task A_placer_places_and_leaves_everything_else_to_the_replicas(string role, bool doesAll)
    {
        await using var app = SchedulerHost.Build([], builder => builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["APP_PORT"] = "0", ["RENDERTRUST_ENVIRONMENT"] = "Development", ["DAPR_HTTP_PORT"] = "1",
            ["ConnectionStrings:Postgres"] = "Host=127.0.0.1;Port=1;Database=none", ["Scheduler:Role"] = role,
        }));

        var loops = app.Services.GetServices<IHostedService>().Select(service => service.GetType().Name).ToList();
        var routes = ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>().Select(route => route.RoutePattern.RawText).ToList();

        Assert.Contains("PlaceUnitsLoop", loops);
        Assert.All(LeftToReplicas, loop => Assert.Equal(doesAll, loops.Contains(loop)));
        Assert.Equal(doesAll, routes.Contains("/internal/jobs"));
        Assert.Contains("/healthz", routes);
    }
}
