using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.Identity.Tests;

/// <summary>The overflow pool: whose agents are, who may publish its key, and that it never passes for a node's.</summary>
public sealed class OverflowTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    private const string Pools = "/internal/overflow-pools";

    [Fact]
    public async Task The_published_key_is_stated_as_overflow_under_the_platforms_own_tenant()
    {
        using var creator = await TestDevice.SignUpAsync(host.Http);
        var key = TestDevice.NewPoint();

        var pool = await PublishAsync(key);

        var statement = Assert.Single(await StatementsAsync(creator, "overflow"));
        Assert.Equal(("overflow", pool.PoolId, pool.OwnerTenantId, pool.KeyId, key, "cloud"), (statement.Kind, statement.Subject, statement.Owner, statement.KeyId, statement.Key, statement.Name));
        Assert.Equal(Machine.KeyIdOf(key), pool.KeyId);
        Assert.NotEqual(creator.Ids.TenantId, pool.OwnerTenantId);
        Assert.Equal(0, await host.CountAsync($"SELECT count(*) FROM devices WHERE tenant_id = '{pool.OwnerTenantId}'"));
    }

    [Fact]
    public async Task Publishing_again_answers_the_same_pool_and_another_key_takes_its_place()
    {
        using var creator = await TestDevice.SignUpAsync(host.Http);
        var (first, second) = (TestDevice.NewPoint(), TestDevice.NewPoint());

        var pool = await PublishAsync(first);
        Assert.Equal(pool, await PublishAsync(first));
        var next = await PublishAsync(second);

        Assert.Equal(pool.OwnerTenantId, next.OwnerTenantId);
        Assert.Equal(second, Assert.Single(await StatementsAsync(creator, "overflow")).Key);
        Assert.Equal(pool.PoolId, (await PublishAsync(first)).PoolId);
        Assert.Equal(first, Assert.Single(await StatementsAsync(creator, "overflow")).Key);
    }

    [Fact]
    public async Task Publishers_at_once_leave_one_pool()
    {
        using var creator = await TestDevice.SignUpAsync(host.Http);
        var keys = Enumerable.Range(0, 6).Select(_ => TestDevice.NewPoint()).ToList();

        var pools = await Task.WhenAll(keys.Select(PublishAsync));

        Assert.Single(pools.Select(pool => pool.OwnerTenantId).Distinct());
        Assert.Contains(Assert.Single(await StatementsAsync(creator, "overflow")).Key, keys);
    }

    [Fact]
    public async Task Agents_of_the_pool_are_nodes_of_the_platform_that_share_its_key_and_are_not_stated_as_nodes()
    {
        using var creator = await TestDevice.SignUpAsync(host.Http);
        var key = TestDevice.NewPoint();
        var pool = await PublishAsync(key);
        using Machine one = new(key), two = new(key);

        var first = await EnrolAsync(await OverflowTokenAsync("overflow-1"), one);
        var second = await EnrolAsync(await OverflowTokenAsync("overflow-2"), two);

        Assert.NotEqual(first.NodeId, second.NodeId);
        Assert.Equal(new NodeIdentity(first.NodeId, pool.OwnerTenantId, "overflow-1", pool.KeyId, false), await host.InternalGetAsync<NodeIdentity>($"/internal/nodes/{first.NodeId}"));
        Assert.Equal("overflow", Read(first.KeyStatement).Kind);
        Assert.DoesNotContain(await StatementsAsync(creator, "node"), statement => statement.KeyId == pool.KeyId);
        Assert.Single(await StatementsAsync(creator, "overflow"));
    }

    [Fact]
    public async Task A_lost_answer_gives_the_same_agent_again()
    {
        var key = TestDevice.NewPoint();
        await PublishAsync(key);
        using var machine = new Machine(key);
        var token = await OverflowTokenAsync("overflow-1");

        var first = await EnrolAsync(token, machine);

        Assert.Equal(first.NodeId, (await EnrolAsync(token, machine)).NodeId);
    }

    [Fact]
    public async Task An_ordinary_tenant_cannot_enrol_with_the_pools_key_published_or_withdrawn()
    {
        using var tenant = await TestDevice.SignUpAsync(host.Http);
        var key = TestDevice.NewPoint();
        var pool = await PublishAsync(key);
        using var thief = new Machine(key);

        Assert.Equal("keyInUse", await CodeAsync(await PostAsync(await TokenAsync(tenant), thief), HttpStatusCode.Conflict));
        await WithdrawAsync(pool.KeyId);
        Assert.Equal("keyInUse", await CodeAsync(await PostAsync(await TokenAsync(tenant), thief), HttpStatusCode.Conflict));

        Assert.Equal(0, await host.CountAsync($"SELECT count(*) FROM nodes WHERE encryption_key_id = '{pool.KeyId}'"));
    }

    [Fact]
    public async Task A_token_of_the_pool_takes_no_other_key()
    {
        await PublishAsync(TestDevice.NewPoint());
        using var stranger = new Machine();

        Assert.Equal("notThePoolKey", await CodeAsync(await PostAsync(await OverflowTokenAsync("overflow-1"), stranger), HttpStatusCode.Forbidden));
    }

    [Fact]
    public async Task A_nodes_key_is_not_taken_for_the_pool()
    {
        using var tenant = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        await EnrolAsync(await TokenAsync(tenant), machine);

        using var refused = await host.InternalPostAsync(Pools, new PublishOverflowPoolRequest("cloud", machine.EncryptionKey), Apps.Scheduler);

        Assert.Equal("keyInUse", await CodeAsync(refused, HttpStatusCode.Conflict));
        Assert.Equal("badEncryptionKey", await CodeAsync(await host.InternalPostAsync(Pools, new PublishOverflowPoolRequest("cloud", "nonsense"), Apps.Scheduler), HttpStatusCode.BadRequest));
    }

    [Fact]
    public async Task A_withdrawn_pool_is_stated_no_more_and_takes_no_agents()
    {
        using var creator = await TestDevice.SignUpAsync(host.Http);
        var key = TestDevice.NewPoint();
        var pool = await PublishAsync(key);
        using var late = new Machine(key);
        var token = await OverflowTokenAsync("overflow-1");

        await WithdrawAsync(pool.KeyId);
        await WithdrawAsync(pool.KeyId);

        Assert.Empty(await StatementsAsync(creator, "overflow"));
        Assert.Equal("notThePoolKey", await CodeAsync(await PostAsync(token, late), HttpStatusCode.Forbidden));
        Assert.Equal("noPool", await CodeAsync(await host.InternalPostAsync($"{Pools}/tokens", new NodeTokenRequest("overflow-2"), Apps.Scheduler), HttpStatusCode.Conflict));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/withdrawn")]
    [InlineData("/tokens")]
    public async Task Nobody_but_the_scheduler_may_touch_the_pool(string route)
    {
        using var tenant = await TestDevice.SignUpAsync(host.Http);
        object body = route switch
        {
            "" => new PublishOverflowPoolRequest("mine", TestDevice.NewPoint()),
            "/withdrawn" => new WithdrawOverflowPoolRequest("any"),
            _ => new NodeTokenRequest("mine"),
        };
        var before = await host.CountAsync("SELECT (SELECT count(*) FROM overflow_pools) + (SELECT count(*) FROM node_tokens)");

        foreach (var caller in new[] { Apps.Gateway, Apps.Ledger, Apps.Catalog })
        {
            using var refused = await host.InternalPostAsync(Pools + route, body, caller);
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        // A device with every scope, and nobody at all.
        Assert.Contains((await tenant.SendAsync(HttpMethod.Post, Pools + route, body)).StatusCode, new[] { HttpStatusCode.Unauthorized, HttpStatusCode.Forbidden });
        using var anonymous = await host.Http.PostAsJsonAsync(Pools + route, body, WireJson.Options, TestContext.Current.CancellationToken);
        Assert.Contains(anonymous.StatusCode, new[] { HttpStatusCode.Unauthorized, HttpStatusCode.Forbidden });
        Assert.Equal(before, await host.CountAsync("SELECT (SELECT count(*) FROM overflow_pools) + (SELECT count(*) FROM node_tokens)"));
    }

    private async Task<OverflowPool> PublishAsync(string key)
    {
        using var response = await host.InternalPostAsync(Pools, new PublishOverflowPoolRequest("cloud", key), Apps.Scheduler);
        return await IdentityHost.ReadAsync<OverflowPool>(response);
    }

    private async Task WithdrawAsync(string keyId)
    {
        using var response = await host.InternalPostAsync($"{Pools}/withdrawn", new WithdrawOverflowPoolRequest(keyId), Apps.Scheduler);
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
    }

    private async Task<string> OverflowTokenAsync(string name)
    {
        using var response = await host.InternalPostAsync($"{Pools}/tokens", new NodeTokenRequest(name), Apps.Scheduler);
        return (await IdentityHost.ReadAsync<NodeTokenResponse>(response)).Token;
    }

    private static async Task<string> TokenAsync(TestDevice device) =>
        (await IdentityHost.ReadAsync<NodeTokenResponse>(await device.SendAsync(HttpMethod.Post, "/v1/identity/node-tokens", new NodeTokenRequest("mine")))).Token;

    private Task<HttpResponseMessage> PostAsync(string token, Machine machine) => host.Http.PostAsJsonAsync(
        "/v1/identity/node-enrolments", new EnrolNodeRequest(token, machine.Csr(), machine.EncryptionKey), WireJson.Options);

    private async Task<EnrolNodeResponse> EnrolAsync(string token, Machine machine) => await IdentityHost.ReadAsync<EnrolNodeResponse>(await PostAsync(token, machine));

    private static async Task<IReadOnlyList<KeyStatement>> StatementsAsync(TestDevice device, string kind) =>
        [.. (await device.GetAsync<KeyStatementList>($"/v1/identity/key-statements?kind={kind}")).Statements.Select(Read)];

    private static KeyStatement Read(string jws) => JsonSerializer.Deserialize<KeyStatement>(System.Buffers.Text.Base64Url.DecodeFromChars(jws.Split('.')[1]), WireJson.Options)!;

    private static async Task<string?> CodeAsync(HttpResponseMessage response, HttpStatusCode expected) =>
        (await IdentityHost.ProblemAsync(response, expected)).GetProperty("code").GetString();
}
