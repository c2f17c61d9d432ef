using System.Net;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.Identity.Tests;

public sealed class RegistrationTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task A_new_device_gets_a_tenant_and_can_say_who_it_is()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        var me = await device.GetAsync<MeResponse>("/v1/identity/me");

        Assert.Equal(device.Ids.TenantId, me.TenantId);
        Assert.Equal("Ada", me.DisplayName);
        Assert.Equal(["jobs", "credits", "modules", "nodes", "admin"], me.Scopes);
    }

    [Fact]
    public async Task Repeating_a_registration_answers_the_same_ids_also_when_both_come_at_once()
    {
        using var device = new TestDevice(host.Http);

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ => await IdentityHost.ReadAsync<RegisterResponse>(await device.RegisterAsync())));

        Assert.Single(answers.Distinct());
    }

    [Fact]
    public async Task A_proof_for_another_key_audience_time_or_encryption_key_is_refused()
    {
        using var device = new TestDevice(host.Http);
        using var other = new TestDevice(host.Http);
        string[] proofs =
        [
            "x", "a.b.c", other.Registration().Proof,
            device.Sign(TestDevice.Claims("rendertrust:token", enc: device.EncryptionKey)),
            device.Sign(TestDevice.Claims("rendertrust:registration", enc: other.EncryptionKey)),
            device.Sign(TestDevice.Claims("rendertrust:registration")),
            device.Sign(TestDevice.Claims("rendertrust:registration", enc: device.EncryptionKey, age: 600)),
            device.Sign(TestDevice.Claims("rendertrust:registration", enc: device.EncryptionKey, life: 3600)),
            device.Sign(TestDevice.Claims("rendertrust:registration", enc: device.EncryptionKey), """{"alg":"none","typ":"JWT"}"""),
            device.Sign("""{"aud":"rendertrust:registration"}"""),
        ];

        foreach (var proof in proofs)
        {
            var problem = await IdentityHost.ProblemAsync(await device.RegisterAsync(device.Registration(proof)), HttpStatusCode.BadRequest);
            Assert.Equal("badProof", problem.GetProperty("code").GetString());
        }
    }

    [Fact]
    public async Task Keys_that_are_no_points_of_P256_are_refused()
    {
        using var device = new TestDevice(host.Http);
        var good = device.Registration();
        RegisterRequest[] bad =
        [
            good with { DeviceKey = good.DeviceKey with { Crv = "P-384" } },
            good with { DeviceKey = good.DeviceKey with { X = good.DeviceKey.Y } },
            good with { DeviceKey = good.DeviceKey with { X = "AAAA" } },
            good with { EncryptionKey = "AAAA" },
            good with { EncryptionKey = new string('A', 87) },
        ];

        foreach (var request in bad)
        {
            await IdentityHost.ProblemAsync(await device.RegisterAsync(request), HttpStatusCode.BadRequest);
        }
    }

    [Fact]
    public async Task A_name_that_is_too_long_is_named_in_the_problem()
    {
        using var device = new TestDevice(host.Http);

        var problem = await IdentityHost.ProblemAsync(
            await device.RegisterAsync(device.Registration() with { DisplayName = new string('a', 101) }), HttpStatusCode.BadRequest);

        Assert.Contains("displayName", problem.GetProperty("errors").GetRawText(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Outside_development_registration_is_closed_unless_opened()
    {
        using var closed = await host.StartAsync(new() { ["RENDERTRUST_ENVIRONMENT"] = "Production" });
        using var opened = await host.StartAsync(new() { ["RENDERTRUST_ENVIRONMENT"] = "Production", ["Identity:OpenRegistration"] = "true" });
        using var device = new TestDevice(host.Http);

        var refused = await device.RegisterAsync(at: closed);
        var accepted = await device.RegisterAsync(at: opened);

        Assert.Equal("registrationClosed", (await IdentityHost.ProblemAsync(refused, HttpStatusCode.Forbidden)).GetProperty("code").GetString());
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
    }

    [Fact]
    public async Task A_revoked_device_key_cannot_register_again()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/devices/{device.Ids.DeviceId}")).StatusCode);

        var problem = await IdentityHost.ProblemAsync(await device.RegisterAsync(), HttpStatusCode.Conflict);

        Assert.Equal("revoked", problem.GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_registration_leaves_evidence_without_names()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);

        await using var command = host.Database.CreateCommand("SELECT payload::text FROM outbox WHERE topic = 'evidence' AND payload->>'subject' = $1");
        command.Parameters.Add(new() { Value = device.Ids.DeviceId.ToString() });
        var payload = (string?)await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);

        Assert.Equal("identity.deviceRegistered", JsonDocument.Parse(payload!).RootElement.GetProperty("kind").GetString());
        Assert.DoesNotContain("Ada", payload, StringComparison.Ordinal);
    }
}
