using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Catalog.Tests;

public sealed class PublishTests(CatalogHost host) : IClassFixture<CatalogHost>
{
    private readonly TenantId tenant = TenantId.New();

    [Fact]
    public async Task A_published_version_is_what_everybody_reads()
    {
        var request = CatalogHost.Module("read-back");

        var made = await CatalogHost.ReadAsync<ModuleVersion>(await host.PublishAsync(tenant, request), HttpStatusCode.Created);

        var one = await CatalogHost.ReadAsync<ModuleVersion>(await host.SendAsync(HttpMethod.Get, "/v1/modules/read-back/1.0.0", TenantId.New()));
        var newest = await CatalogHost.ReadAsync<ModuleVersion>(await host.SendAsync(HttpMethod.Get, "/v1/modules/read-back", TenantId.New()));
        var inside = await CatalogHost.ReadAsync<ModuleVersion>(await host.InternalAsync("/internal/modules/read-back/1.0.0"));
        var made1 = JsonSerializer.Serialize(made, WireJson.Options);
        Assert.Equal(made1, JsonSerializer.Serialize(one, WireJson.Options));
        Assert.Equal(made1, JsonSerializer.Serialize(newest, WireJson.Options));
        Assert.Equal(made1, JsonSerializer.Serialize(inside, WireJson.Options));
        Assert.Equal(tenant, made.DeveloperTenantId);
        Assert.Equal(request.Runtime, made.Runtime);
        Assert.Equal(["render"], made.Tags);
        Assert.Empty(made.Examples);
        Assert.True(JsonElement.DeepEquals(request.ParametersSchema!.Value, made.ParametersSchema!.Value));
        Assert.Equal(1, await host.CountAsync("SELECT count(*) FROM outbox WHERE component = 'pubsub' AND topic = 'module-events' AND payload->>'name' = 'read-back'"));
        Assert.Equal(1, await host.CountAsync("SELECT count(*) FROM outbox WHERE component = 'broadcast' AND topic = 'module-events' AND payload->>'name' = 'read-back'"));
        Assert.Equal(1, await host.CountAsync("SELECT count(*) FROM outbox WHERE topic = 'evidence' AND payload->'facts'->>'module' = 'read-back@1.0.0'"));
    }

    [Fact]
    public async Task The_same_content_again_is_200_in_any_order_of_members_and_other_content_is_409()
    {
        var request = CatalogHost.Module("again");
        await CatalogHost.ReadAsync<ModuleVersion>(await host.PublishAsync(tenant, request), HttpStatusCode.Created);
        var shuffled = new JsonObject();
        foreach (var (key, value) in JsonSerializer.SerializeToNode(request, WireJson.Options)!.AsObject().Reverse())
        {
            shuffled[key] = value?.DeepClone();
        }

        await CatalogHost.ReadAsync<ModuleVersion>(await host.PublishAsync(tenant, request));
        await CatalogHost.ReadAsync<ModuleVersion>(await host.PublishAsync(tenant, shuffled.ToJsonString()));
        var problem = await CatalogHost.ProblemAsync(await host.PublishAsync(tenant, request with { Title = "Other" }), HttpStatusCode.Conflict);

        Assert.Equal("otherContent", problem.GetProperty("code").GetString());
        Assert.Equal(1, await host.CountAsync("SELECT count(*) FROM outbox WHERE component = 'pubsub' AND topic = 'module-events' AND payload->>'name' = 'again'"));
    }

    [Fact]
    public async Task A_name_belongs_to_its_first_publisher_also_when_both_come_at_once()
    {
        var tenants = Enumerable.Range(0, 6).Select(_ => TenantId.New()).ToList();

        var answers = await Task.WhenAll(tenants.Select(other => host.PublishAsync(other, CatalogHost.Module("contested"))));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.Created);
        Assert.Equal(5, answers.Count(answer => answer.StatusCode == HttpStatusCode.Forbidden));
        var winner = tenants[Array.FindIndex(answers, answer => answer.StatusCode == HttpStatusCode.Created)];
        Assert.Equal(HttpStatusCode.Created, (await host.PublishAsync(winner, CatalogHost.Module("contested", "1.0.1"))).StatusCode);
        var problem = await CatalogHost.ProblemAsync(await host.PublishAsync(TenantId.New(), CatalogHost.Module("contested", "2.0.0")), HttpStatusCode.Forbidden);
        Assert.Equal("nameTaken", problem.GetProperty("code").GetString());
    }

    [Fact]
    public async Task The_same_version_at_once_is_published_once()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(index => host.PublishAsync(tenant, CatalogHost.Module("race") with { Title = index < 3 ? "A" : "B" })));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.Created);
        Assert.Equal(2, answers.Count(answer => answer.StatusCode == HttpStatusCode.OK));
        Assert.Equal(3, answers.Count(answer => answer.StatusCode == HttpStatusCode.Conflict));
    }

    [Theory]
    [InlineData(DeviceKind.Cpu, 39_999, false)]
    [InlineData(DeviceKind.Cpu, 40_000, true)]
    [InlineData(DeviceKind.Gpu, 399_999, false)]
    [InlineData(DeviceKind.Gpu, 400_000, true)]
    [InlineData(DeviceKind.Cpu, 10_000_000_001, false)]
    public async Task A_rate_is_never_below_what_the_node_earns(DeviceKind kind, long rate, bool accepted)
    {
        var response = await host.PublishAsync(tenant, CatalogHost.Module($"rate-{kind.ToString().ToLowerInvariant()}-{rate}", rate: rate, kind: kind));

        if (accepted)
        {
            Assert.Equal(HttpStatusCode.Created, response.StatusCode);
            return;
        }

        var problem = await CatalogHost.ProblemAsync(response, HttpStatusCode.UnprocessableEntity);
        Assert.Equal("rateOutOfRange", problem.GetProperty("code").GetString());
        Assert.Matches("400?[0-9]{3,}|10000000000", problem.GetProperty("detail").GetString()!);
    }

    [Fact]
    public async Task A_repeat_is_answered_the_same_after_the_node_rate_rose()
    {
        var request = CatalogHost.Module("older-rate");
        await host.PublishAsync(tenant, request);
        using var later = await host.StartAsync(new() { ["Modules:CpuNodeRatePerMinuteMicrocredits"] = "50000" });

        Assert.Equal(HttpStatusCode.OK, (await host.PublishAsync(tenant, request, later)).StatusCode);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await host.PublishAsync(tenant, request with { Version = "1.0.1" }, later)).StatusCode);
    }

    [Fact]
    public async Task Newest_is_by_number_and_the_list_has_each_module_once()
    {
        foreach (var version in new[] { "1.9.0", "1.10.0", "1.2.0" })
        {
            await host.PublishAsync(tenant, CatalogHost.Module("ordered", version));
        }

        var newest = await CatalogHost.ReadAsync<ModuleVersion>(await host.SendAsync(HttpMethod.Get, "/v1/modules/ordered", tenant));
        var list = await CatalogHost.ReadAsync<ModuleList>(await host.SendAsync(HttpMethod.Get, "/v1/modules", tenant));
        var inside = await CatalogHost.ReadAsync<ModuleList>(await host.InternalAsync("/internal/modules"));

        Assert.Equal("1.10.0", newest.Version);
        Assert.Equal("1.10.0", Assert.Single(list.Modules, module => module.Name == "ordered").Version);
        Assert.Equal(list.Modules.Count, list.Modules.Select(module => module.Name).Distinct().Count());
        Assert.Contains(inside.Modules, module => module.Name == "ordered");
    }

    [Theory]
    [InlineData("""{"type":"array"}""", "named")]
    [InlineData("""7""", "type")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"banana"}}}""", "banana")]
    [InlineData("""{"type":"object","properties":5}""", "properties")]
    [InlineData("""{"type":"object","required":"a"}""", "required")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","pattern":"("}}}""", "pattern")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"http://169.254.169.254/x"}}}""", "$ref")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"/etc/passwd"}}}""", "$ref")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#/$defs/nothing"}}}""", "JSON Schema")]
    [InlineData("""{"type":"object","definitions":{"enum":{"$ref":"http://127.0.0.1:9/x"}}}""", "within the schema")]
    [InlineData("""{"type":"object","properties":{"a":{"$REF":"http://127.0.0.1:9/x"}}}""", "within the schema")]
    [InlineData("""{"type":"object","allOf":[{"$ref":"#"}]}""", "never ends")]
    [InlineData("""{"type":"object","properties":{"a":{"not":{"$ref":"#/properties/a"}}}}""", "never ends")]
    public async Task Schemas_that_cannot_be_relied_on_are_refused(string schema, string named)
    {
        var problem = await CatalogHost.ProblemAsync(await host.PublishAsync(tenant, CatalogHost.Module("bad-schema", schema: schema)), HttpStatusCode.UnprocessableEntity);

        Assert.Equal("badSchema", problem.GetProperty("code").GetString());
        Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schemas_with_inner_references_and_members_named_like_keywords_are_accepted()
    {
        const string schema =
            """
            {"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,
             "$defs":{"size":{"type":"integer","minimum":1}},
             "properties":{"width":{"$ref":"#/$defs/size"},"type":{"type":"string","enum":["a"],"default":"a"},"required":{"type":["string","null"]},"pattern":{"type":"string","pattern":"^[a-z]+$"}},
             "required":["width"]}
            """;

        Assert.Equal(HttpStatusCode.Created, (await host.PublishAsync(tenant, CatalogHost.Module("good-schema", schema: schema))).StatusCode);
    }

    [Theory]
    [InlineData("name", "\"Bad Name\"")]
    [InlineData("name", "\"a/b\"")]
    [InlineData("version", "\"1.0\"")]
    [InlineData("title", "\"\"")]
    [InlineData("ratePerMinuteMicrocredits", "0")]
    [InlineData("ratePerMinuteMicrocredits", "\"many\"")]
    [InlineData("ratePerMinuteMicrocredits", "99999999999999999999")]
    [InlineData("runtime.imageDigest", "\"sha256:AAAA\"")]
    [InlineData("runtime.imageDigest", "\"latest\"")]
    [InlineData("runtime.deviceKind", "\"quantum\"")]
    [InlineData("runtime.memoryMebibytes", "0")]
    [InlineData("runtime.cpuCount", "0")]
    [InlineData("runtime", "null")]
    public async Task A_member_out_of_form_is_a_400_that_names_it(string member, string value)
    {
        var body = JsonSerializer.SerializeToNode(CatalogHost.Module("bad-form"), WireJson.Options)!.AsObject();
        var parts = member.Split('.');
        (parts.Length == 1 ? body : body["runtime"]!.AsObject())[parts[^1]] = JsonNode.Parse(value);

        var problem = await CatalogHost.ProblemAsync(await host.PublishAsync(tenant, body.ToJsonString()), HttpStatusCode.BadRequest);

        Assert.Contains(parts[^1], problem.GetRawText(), StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("01.0.0", "127.0.0.1:5000/rendertrust/povray")]
    [InlineData("9999999999.0.0", "127.0.0.1:5000/rendertrust/povray")]
    [InlineData("1.0.0", "127.0.0.1:5000/rendertrust/povray:latest")]
    [InlineData("1.0.0", "127.0.0.1:5000/rendertrust/povray@sha256:aa")]
    [InlineData("1.0.0", "https://registry.example/povray")]
    [InlineData("1.0.0", "../../etc")]
    [InlineData("1.0.0", "Registry/POV")]
    public async Task Versions_and_images_that_are_ambiguous_are_refused(string version, string image)
    {
        var request = CatalogHost.Module("bad-image", version);

        var problem = await CatalogHost.ProblemAsync(
            await host.PublishAsync(tenant, request with { Runtime = request.Runtime with { ImageReference = image } }), HttpStatusCode.UnprocessableEntity);

        Assert.Equal("badForm", problem.GetProperty("code").GetString());
    }

    [Fact]
    public async Task What_does_not_exist_is_404_with_a_remedy()
    {
        foreach (var path in new[] { "/v1/modules/nothing", "/v1/modules/nothing/1.0.0", "/v1/modules/nothing/latest" })
        {
            Assert.Equal("unknownModule", (await CatalogHost.ProblemAsync(await host.SendAsync(HttpMethod.Get, path, tenant), HttpStatusCode.NotFound)).GetProperty("code").GetString());
        }

        await CatalogHost.ProblemAsync(await host.InternalAsync("/internal/modules/nothing/1.0.0"), HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Publishing_needs_the_scope_and_reading_a_token()
    {
        Assert.Equal(HttpStatusCode.Forbidden, (await host.SendAsync(HttpMethod.Post, "/v1/modules", tenant, CatalogHost.Module("scope"), scopes: "jobs")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await host.SendAsync(HttpMethod.Get, "/v1/modules", null)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await host.InternalAsync("/internal/modules", apiToken: "wrong")).StatusCode);
    }

    [Fact]
    public async Task Not_even_the_service_itself_can_change_a_version()
    {
        await host.PublishAsync(tenant, CatalogHost.Module("frozen"));

        var exception = await Assert.ThrowsAsync<PostgresException>(() => host.CountAsync("UPDATE module_versions SET content = '{}' WHERE name = 'frozen' RETURNING 1"));

        Assert.Contains("never change", exception.MessageText, StringComparison.Ordinal);
        await Assert.ThrowsAsync<PostgresException>(() => host.CountAsync("DELETE FROM module_versions WHERE name = 'frozen' RETURNING 1"));
    }
}
