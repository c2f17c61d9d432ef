using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using RenderTrust.Gateway.Blobs;
using RenderTrust.Gateway.Hub;
using RenderTrust.Gateway.Listeners;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests;

/// <summary>Reads the gateway's whole route table: what is open to everyone is on a list that may only shrink.</summary>
public sealed class RouteTests
{
    private static readonly string[] Open =
    [
        "/.well-known/agent-card.json", "/healthz",
        "/", "/dashboard/{**path}", "/dashboard/api/session",
        "/v1/identity/jwks", "/v1/identity/node-enrolments", "/v1/identity/registrations", "/v1/identity/token", "/v1/identity/trust",
        "/v1/uploads", "/v1/uploads/{uploadId}",
    ];

    private static IReadOnlyList<RouteEndpoint> Endpoints()
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["RENDERTRUST_ENVIRONMENT"] = "Development",
            ["APP_PORT"] = $"{TestPorts.Free()}",
            ["ConnectionStrings:Postgres"] = "Host=127.0.0.1;Port=1;Database=none",
            ["Gateway:Blobs:Directory"] = Path.GetTempPath(),
        });
        builder.AddEdge();
        builder.AddBlobs();
        builder.AddHub();
        var app = builder.Build();
        app.MapEdge();
        app.MapBlobs();
        app.MapHub();
        return [.. ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()];
    }

    private static string Pattern(RouteEndpoint endpoint) => "/" + endpoint.RoutePattern.RawText!.TrimStart('/');

    [Fact]
    public void Every_public_route_needs_credentials_or_is_on_the_list()
    {
        var open = Endpoints()
            .Where(endpoint => ListenerGate.Answers(endpoint, Listener.Public))
            .Where(endpoint => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null || endpoint.Metadata.GetMetadata<IAuthorizeData>() is null)
            .Select(Pattern).Distinct().Order(StringComparer.Ordinal);

        Assert.Equal(Open.Order(StringComparer.Ordinal), open);
    }

    [Fact]
    public void Every_internal_route_needs_its_callers()
    {
        var bare = Endpoints()
            .Where(endpoint => ListenerGate.Answers(endpoint, Listener.Internal) && Pattern(endpoint) != "/healthz")
            .Where(endpoint => endpoint.Metadata.GetMetadata<IAuthorizeData>()?.Policy != "internal");

        Assert.Empty(bare.Select(Pattern));
    }

    [Fact]
    public void Node_routes_answer_at_the_nodes_door_only()
    {
        var forNodes = Endpoints().Where(endpoint => ListenerGate.Answers(endpoint, Listener.Nodes)).ToList();

        Assert.Contains(forNodes, endpoint => Pattern(endpoint).EndsWith("Hub/Connect", StringComparison.Ordinal));
        Assert.All(forNodes, endpoint => Assert.True(Pattern(endpoint).StartsWith("/v1/node/", StringComparison.Ordinal) || Pattern(endpoint).Contains("edge.v1", StringComparison.Ordinal) || Pattern(endpoint).Contains("grpc", StringComparison.Ordinal), Pattern(endpoint)));
    }
}
