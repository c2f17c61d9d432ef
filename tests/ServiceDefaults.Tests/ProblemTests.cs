using System.Net;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults.Tests;

public sealed class ProblemTests
{
    private const string Id = "01890000-0000-7000-8000-000000000001";

    [Theory]
    [InlineData("{", "")]
    [InlineData("null", "")]
    [InlineData($$"""{"jobId":"{{Id}}","kind":"quantum","name":"a"}""", "$.kind")]
    [InlineData($$"""{"jobId":"{{Id}}","kind":1,"name":"a"}""", "$.kind")]
    [InlineData("""{"jobId":"7","kind":"cpu","name":"a"}""", "$.jobId")]
    [InlineData($$"""{"jobId":"{{Id}}","kind":"cpu"}""", "name")]
    [InlineData($$"""{"jobId":"{{Id}}","kind":"cpu","name":null}""", "$.name")]
    [InlineData($$"""{"jobId":"{{Id}}","kind":"cpu","name":7}""", "$.name")]
    [InlineData($$"""{"jobId":"{{Id}}","kind":"cpu","name":"a\u0000"}""", "$.name")]
    public async Task A_body_that_cannot_be_read_is_a_400_that_names_the_place(string json, string place)
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Post, "/v1/things", host.Identity.Token(), json: json);

        var problem = await ReadAsync(response, HttpStatusCode.BadRequest);
        Assert.Contains(place, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("RenderTrust", problem.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_enum_name_is_answered_with_the_known_ones()
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Post, "/v1/things", host.Identity.Token(), json: $$"""{"jobId":"{{Id}}","kind":"quantum","name":"a"}""");

        var detail = (await ReadAsync(response, HttpStatusCode.BadRequest)).GetProperty("detail").GetString();
        Assert.True(detail!.Contains("cpu, gpu", StringComparison.Ordinal), detail);
    }

    [Fact]
    public async Task A_broken_envelope_from_outside_is_the_callers_mistake()
    {
        await using var host = await ServiceHost.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/things") { Content = new StringContent("{", null, "application/cloudevents+json") };

        var response = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.InRange((int)response.StatusCode, 400, 499);
    }

    [Fact]
    public async Task A_nullable_member_may_be_absent()
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Post, "/v1/things", host.Identity.Token(), json: $$"""{"jobId":"{{Id}}","kind":"gpu","name":"a"}""");

        Assert.Equal($$"""{"jobId":"{{Id}}","kind":"gpu","name":"a"}""", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_bad_id_in_the_path_is_a_400()
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Get, "/v1/jobs/banana", host.Identity.Token());

        Assert.Contains("banana", (await ReadAsync(response, HttpStatusCode.BadRequest)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_route_is_a_problem_too()
    {
        await using var host = await ServiceHost.StartAsync();

        await ReadAsync(await host.SendAsync(HttpMethod.Get, "/v1/nowhere", host.Identity.Token()), HttpStatusCode.NotFound);
        await ReadAsync(await host.SendAsync(HttpMethod.Delete, "/v1/credits", host.Identity.Token()), HttpStatusCode.MethodNotAllowed);
    }

    [Fact]
    public async Task An_oversized_body_is_a_413()
    {
        await using var host = await ServiceHost.StartAsync();

        var response = await host.SendAsync(HttpMethod.Post, "/v1/things", host.Identity.Token(), json: $$"""{"name":"{{new string('a', 9 * 1024 * 1024)}}"}""");

        await ReadAsync(response, HttpStatusCode.RequestEntityTooLarge);
    }

    [Fact]
    public async Task A_fault_of_ours_is_a_500_without_its_details()
    {
        await using var host = await ServiceHost.StartAsync();

        var problem = await ReadAsync(await host.SendAsync(HttpMethod.Get, "/v1/fault", host.Identity.Token()), HttpStatusCode.InternalServerError);

        Assert.DoesNotContain("secret detail", problem.GetRawText(), StringComparison.Ordinal);
        Assert.True(problem.TryGetProperty("traceId", out _));
    }

    [Fact]
    public async Task An_unknown_outcome_of_a_neighbour_is_a_504()
    {
        await using var host = await ServiceHost.StartAsync();

        await ReadAsync(await host.SendAsync(HttpMethod.Get, "/v1/unknown-outcome", host.Identity.Token()), HttpStatusCode.GatewayTimeout);
    }

    [Fact]
    public void The_services_json_is_the_wires_json()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web);
        ServiceDefaultsExtensions.ApplyWireJson(options);

        foreach (var property in typeof(JsonSerializerOptions).GetProperties().Where(property => property.GetIndexParameters().Length == 0
            && property.Name is not ("IsReadOnly" or "TypeInfoResolverChain" or "Converters" or "Default" or "Strict" or "Web")))
        {
            Assert.Equal(property.GetValue(WireJson.Options), property.GetValue(options));
        }

        Assert.Equal(WireJson.Options.Converters.Count, options.Converters.Count);
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"Expected {expected}, got {response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return JsonDocument.Parse(text).RootElement;
    }
}
