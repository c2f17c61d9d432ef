using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;
using RenderTrust.TestKit;

namespace RenderTrust.Identity.Tests;

public sealed class PlatformTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    /// <summary>May only shrink.</summary>
    private static readonly string[] AnonymousRoutes =
    [
        "GET /v1/identity/jwks", "GET /v1/identity/trust", "POST /v1/identity/node-enrolments", "POST /v1/identity/registrations", "POST /v1/identity/token", "* /healthz",
    ];

    [Fact]
    public void Every_route_has_a_policy_or_is_on_the_list_of_anonymous_ones()
    {
        var anonymous = new List<string>();
        foreach (var endpoint in host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            var name = $"{(endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods is [var method, ..] ? method : "*")} /{endpoint.RoutePattern.RawText!.TrimStart('/')}";
            if (endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            {
                anonymous.Add(name);
                continue;
            }

            var policies = endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>().Select(data => data.Policy).ToList();
            Assert.True(policies.Count > 0, $"{name} has no policy");
            Assert.All(policies, policy => Assert.Contains(policy, new[] { Policies.User, Policies.Internal }));
            var isInternal = policies.Contains(Policies.Internal);
            Assert.True(!isInternal || endpoint.Metadata.GetMetadata<AllowedCallers>() is not null || endpoint.Metadata.GetMetadata<SidecarOnly>() is not null, $"{name} has no list of callers");
            Assert.True(isInternal != name.Contains("/v1/", StringComparison.Ordinal), $"{name} has the policy of the other side");
        }

        Assert.Equal(AnonymousRoutes.Order(StringComparer.Ordinal), anonymous.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Another_tenants_ids_look_like_unknown_ones_on_every_route()
    {
        using var owner = await TestDevice.SignUpAsync(host.Http);
        using var stranger = await TestDevice.SignUpAsync(host.Http);
        var key = await IdentityHost.ReadAsync<CreateApiKeyResponse>(
            await owner.SendAsync(HttpMethod.Post, "/v1/identity/api-keys", new CreateApiKeyRequest("ci", ["jobs"])), HttpStatusCode.Created);
        var node = await EnrolAsync(owner);
        (string Route, string Real)[] cases = [("devices", owner.Ids.DeviceId.ToString()), ("api-keys", key.ApiKeyId.ToString()), ("nodes", node.NodeId.ToString())];

        foreach (var (route, real) in cases)
        {
            var unknown = Guid.NewGuid().ToString();
            var foreign = await IdentityHost.ProblemAsync(await stranger.SendAsync(HttpMethod.Delete, $"/v1/identity/{route}/{real}"), HttpStatusCode.NotFound);
            var nothing = await IdentityHost.ProblemAsync(await stranger.SendAsync(HttpMethod.Delete, $"/v1/identity/{route}/{unknown}"), HttpStatusCode.NotFound);
            Assert.Equal(nothing.GetProperty("detail").GetString(), foreign.GetProperty("detail").GetString()!.Replace(real, unknown, StringComparison.Ordinal));
        }

        Assert.Single((await stranger.GetAsync<DeviceList>("/v1/identity/devices")).Devices);
        Assert.Empty((await stranger.GetAsync<ApiKeyList>("/v1/identity/api-keys")).ApiKeys);
        Assert.False((await owner.GetAsync<DeviceList>("/v1/identity/devices")).Devices.Single().Revoked);
    }

    [Theory]
    [InlineData("DELETE", "/v1/identity/devices/banana", HttpStatusCode.BadRequest)]
    [InlineData("DELETE", "/v1/identity/nodes/banana", HttpStatusCode.BadRequest)]
    [InlineData("DELETE", "/v1/identity/api-keys/banana", HttpStatusCode.NotFound)]
    [InlineData("GET", "/v1/identity/nothing", HttpStatusCode.NotFound)]
    [InlineData("PUT", "/v1/identity/me", HttpStatusCode.MethodNotAllowed)]
    public async Task Bad_paths_are_problems_and_never_a_500(string method, string path, HttpStatusCode expected)
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        await IdentityHost.ProblemAsync(await device.SendAsync(new HttpMethod(method), path), expected);
    }

    [Fact]
    public async Task Two_starters_share_one_ca_and_one_token_key()
    {
        using var second = await host.StartAsync();
        using var device = await TestDevice.SignUpAsync(host.Http);

        Assert.Equal(await host.Http.GetStringAsync("/v1/identity/trust", TestContext.Current.CancellationToken), await second.GetStringAsync("/v1/identity/trust", TestContext.Current.CancellationToken));
        Assert.Equal(await host.Http.GetStringAsync("/v1/identity/jwks", TestContext.Current.CancellationToken), await second.GetStringAsync("/v1/identity/jwks", TestContext.Current.CancellationToken));
        second.DefaultRequestHeaders.Authorization = new("Bearer", device.Token);
        Assert.Equal(HttpStatusCode.OK, (await second.GetAsync("/v1/identity/me", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task Starters_at_once_on_an_empty_folder_make_one_ca()
    {
        await using var fresh = new IdentityHost();
        await fresh.InitializeDatabaseAsync();

        var clients = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => fresh.StartAsync()));

        var answers = await Task.WhenAll(clients.Select(client => client.GetStringAsync("/v1/identity/trust")));
        Assert.Single(answers.Distinct());
    }

    [Fact]
    public async Task A_key_folder_with_another_ca_stops_the_start_and_says_where_to_look()
    {
        var folder = Directory.CreateTempSubdirectory("rt-other-keys");
        File.SetUnixFileMode(folder.FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync(new() { ["Identity:KeyDirectory"] = folder.FullName }));

        Assert.Contains("Identity:KeyDirectory", exception.Message, StringComparison.Ordinal);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Key_files_are_for_the_service_alone()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(host.KeyDirectory));
        foreach (var file in Directory.GetFiles(host.KeyDirectory, "*.pem"))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }

        var open = Directory.CreateTempSubdirectory("rt-open-keys");
        File.SetUnixFileMode(open.FullName, (UnixFileMode)Convert.ToInt32("755", 8));
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync(new() { ["Identity:KeyDirectory"] = open.FullName }));
        Assert.Contains("chmod 700", exception.Message, StringComparison.Ordinal);
        open.Delete(recursive: true);
    }

    [Fact]
    public async Task The_gateway_gets_a_server_certificate_for_its_names()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var csr = new CertificateRequest("CN=hub", key, HashAlgorithmName.SHA256).CreateSigningRequestPem();

        var response = await IdentityHost.ReadAsync<ServerCertificateResponse>(
            await host.InternalPostAsync("/internal/server-certificates", new ServerCertificateRequest(csr, ["localhost", "127.0.0.1", "::1"])));

        using var certificate = X509Certificate2.CreateFromPem(response.CertificatePem);
        using var ca = X509Certificate2.CreateFromPem(response.CaCertificatePem);
        Assert.True(NodeTests.Chains(certificate, ca));
        Assert.True(certificate.MatchesHostname("localhost"));
        Assert.True(certificate.MatchesHostname("127.0.0.1"));
        Assert.False(certificate.MatchesHostname("example.com"));
        await IdentityHost.ProblemAsync(await host.InternalPostAsync("/internal/server-certificates", new ServerCertificateRequest(csr, ["no name!"])), HttpStatusCode.BadRequest);
        await IdentityHost.ProblemAsync(await host.InternalPostAsync("/internal/server-certificates", new ServerCertificateRequest("x", ["localhost"])), HttpStatusCode.BadRequest);
        Assert.Equal(HttpStatusCode.Forbidden, (await host.InternalPostAsync("/internal/server-certificates", new ServerCertificateRequest(csr, ["localhost"]), "scheduler")).StatusCode);
    }

    [Fact]
    public async Task The_version_rises_with_every_revocation_and_no_reader_misses_one()
    {
        var devices = new List<TestDevice>();
        for (var count = 0; count < 6; count++)
        {
            devices.Add(await TestDevice.SignUpAsync(host.Http));
        }

        var before = await host.InternalGetAsync<RevocationList>("/internal/revocations", "ledger");
        await Task.WhenAll(devices.Select(device => device.SendAsync(HttpMethod.Delete, $"/v1/identity/devices/{device.Ids.DeviceId}")));
        var after = await host.InternalGetAsync<RevocationList>("/internal/revocations", "ledger");

        Assert.Equal(before.Version + 6, after.Version);
        Assert.All(devices, device => Assert.Contains(device.Ids.DeviceId.Value, after.Devices));
        devices.ForEach(device => device.Dispose());
    }

    [Fact]
    public async Task The_sweep_forgets_what_is_over_and_nothing_else()
    {
        await host.CountAsync("INSERT INTO used_proofs VALUES ('dpop', 'k', 'old', now() - interval '1 s'), ('dpop', 'k', 'new', now() + interval '1 h') RETURNING 1");
        await host.CountAsync($"INSERT INTO revocations VALUES ('device', '{Guid.NewGuid()}', 1, now(), now() - interval '1 s') RETURNING 1");

        var sweep = host.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<SweepExpiredLoop>().Single();
        await sweep.SweepAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, await host.CountAsync("SELECT count(*) FROM used_proofs WHERE key_thumbprint = 'k'"));
        Assert.Equal(0, await host.CountAsync("SELECT count(*) FROM revocations WHERE expires_at < now()"));
    }

    [Fact]
    public async Task Internal_routes_are_closed_to_users_and_to_callers_without_the_token()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        foreach (var path in new[] { "/internal/jwks", "/internal/ca", "/internal/revocations", $"/internal/nodes/{Guid.NewGuid()}" })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await device.SendAsync(HttpMethod.Get, path)).StatusCode);
        }

        Assert.Equal(JsonValueKind.Array, (await host.InternalGetAsync<JsonElement>("/internal/jwks", "ledger")).GetProperty("keys").ValueKind);
    }

    private async Task<EnrolNodeResponse> EnrolAsync(TestDevice device)
    {
        var token = await IdentityHost.ReadAsync<NodeTokenResponse>(await device.SendAsync(HttpMethod.Post, "/v1/identity/node-tokens", new NodeTokenRequest("n")));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var csr = new CertificateRequest("CN=x", key, HashAlgorithmName.SHA256).CreateSigningRequestPem();
        return await IdentityHost.ReadAsync<EnrolNodeResponse>(
            await host.Http.PostAsJsonAsync("/v1/identity/node-enrolments", new EnrolNodeRequest(token.Token, csr, TestDevice.NewPoint()), WireJson.Options));
    }

    [Fact]
    public async Task The_schema_file_is_what_all_migrations_make()
    {
        using var reader = new StreamReader(typeof(IdentityService).Assembly.GetManifestResourceStream("schema.sql")!);

        var written = await SchemaSnapshot.OfScriptAsync("identity", await reader.ReadToEndAsync(TestContext.Current.CancellationToken));

        Assert.NotEmpty(written);
        Assert.Equal(written, await SchemaSnapshot.ReadAsync(host.ConnectionStringFor("identity"), "identity"));
    }
}
