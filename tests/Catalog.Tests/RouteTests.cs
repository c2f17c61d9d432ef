using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.ServiceDefaults;
using RenderTrust.TestKit;

namespace RenderTrust.Catalog.Tests;

public sealed class RouteTests(CatalogHost host) : IClassFixture<CatalogHost>
{
    [Fact]
    public void Every_route_has_a_policy_and_only_health_is_anonymous()
    {
        var anonymous = new List<string>();
        foreach (var endpoint in host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            var name = "/" + endpoint.RoutePattern.RawText!.TrimStart('/');
            if (endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            {
                anonymous.Add(name);
                continue;
            }

            var policies = endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>().Select(data => data.Policy).ToList();
            Assert.True(policies.Count > 0, $"{name} has no policy");
            Assert.Equal(name.StartsWith("/v1/", StringComparison.Ordinal) ? Policies.User : Policies.Internal, Assert.Single(policies.Distinct()));
            Assert.True(
                policies[0] == Policies.User || endpoint.Metadata.GetMetadata<AllowedCallers>() is not null || endpoint.Metadata.GetMetadata<SidecarOnly>() is not null,
                $"{name} has no list of callers");
        }

        Assert.Equal(["/healthz"], anonymous);
    }

    [Fact]
    public async Task The_schema_file_is_what_all_migrations_make()
    {
        using var reader = new StreamReader(typeof(CatalogService).Assembly.GetManifestResourceStream("schema.sql")!);

        var written = await SchemaSnapshot.OfScriptAsync("catalog", await reader.ReadToEndAsync(TestContext.Current.CancellationToken));

        Assert.NotEmpty(written);
        Assert.Equal(written, await SchemaSnapshot.ReadAsync(host.ConnectionStringFor("catalog"), "catalog"));
    }
}
