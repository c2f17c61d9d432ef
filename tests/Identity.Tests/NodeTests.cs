using System.Formats.Asn1;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.Identity.Tests;

public sealed class NodeTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task A_machine_becomes_a_node_with_a_certificate_under_the_platform_ca()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        var trust = await host.Http.GetFromJsonAsync<TrustResponse>("/v1/identity/trust", WireJson.Options, TestContext.Current.CancellationToken);

        var node = await EnrolAsync(await TokenAsync(device, "Büro / Nord"), machine);

        using var ca = X509Certificate2.CreateFromPem(trust!.CaCertificatePem);
        using var certificate = X509Certificate2.CreateFromPem(node.CertificatePem);
        Assert.Equal(trust.CaFingerprintSha256, Convert.ToHexStringLower(SHA256.HashData(ca.RawData)));
        Assert.True(Chains(certificate, ca));
        Assert.Equal($"CN={node.NodeId}", certificate.Subject);
        Assert.Equal(machine.Key.ExportSubjectPublicKeyInfo(), certificate.GetECDsaPublicKey()!.ExportSubjectPublicKeyInfo());
        Assert.Equal(
            [$"urn:rendertrust:node:{node.NodeId}", $"urn:rendertrust:tenant:{device.Ids.TenantId}", $"urn:rendertrust:key:{machine.KeyId}", "urn:rendertrust:name:B%C3%BCro%20%2F%20Nord"],
            Uris(certificate));
        Assert.Equal("1.3.6.1.5.5.7.3.2", certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages[0].Value);
        Assert.False(certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority);
        Assert.Equal("Büro / Nord", node.Name);
        Assert.Equal("https://127.0.0.1:8444", node.HubUrl);
        var facts = await host.InternalGetAsync<NodeIdentity>($"/internal/nodes/{node.NodeId}");
        Assert.Equal(new NodeIdentity(node.NodeId, device.Ids.TenantId, "Büro / Nord", machine.KeyId, false), facts);
    }

    [Fact]
    public async Task The_key_statement_verifies_with_nothing_but_the_pinned_ca()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        var node = await EnrolAsync(await TokenAsync(device), machine);

        var listed = (await device.GetAsync<KeyStatementList>("/v1/identity/key-statements?kind=node")).Statements.Select(Verify).Single(statement => statement.Subject == node.NodeId.Value);
        var given = Verify(node.KeyStatement);

        Assert.Equal(machine.EncryptionKey, given.Key);
        Assert.Equal(machine.KeyId, given.KeyId);
        Assert.Equal(device.Ids.TenantId, given.Owner);
        Assert.Equal("node", given.Kind);
        Assert.Equal(given.Key, listed.Key);
        Assert.InRange(given.Exp - DateTimeOffset.UtcNow.ToUnixTimeSeconds(), 86_400, 31 * 86_400);

        KeyStatement Verify(string jws)
        {
            var parts = jws.Split('.');
            var header = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(parts[0])).RootElement;
            using var ca = X509Certificate2.CreateFromPem(node.CaCertificatePem);
            using var signer = X509CertificateLoader.LoadCertificate(header.GetProperty("x5c")[0].GetBytesFromBase64());
            Assert.Equal("ES256", header.GetProperty("alg").GetString());
            Assert.True(Chains(signer, ca));
            Assert.Equal([WellKnown.StatementSignerUri], Uris(signer));
            Assert.True(signer.GetECDsaPublicKey()!.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), System.Buffers.Text.Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256));
            return JsonSerializer.Deserialize<KeyStatement>(System.Buffers.Text.Base64Url.DecodeFromChars(parts[1]), WireJson.Options)!;
        }
    }

    [Fact]
    public async Task Statements_of_kind_creator_are_of_the_callers_own_devices()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var other = await TestDevice.SignUpAsync(host.Http);

        var statements = (await device.GetAsync<KeyStatementList>("/v1/identity/key-statements?kind=creator")).Statements;

        var payload = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(Assert.Single(statements).Split('.')[1])).RootElement;
        Assert.Equal(device.EncryptionKey, payload.GetProperty("key").GetString());
        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Get, "/v1/identity/key-statements?kind=moon"), HttpStatusCode.BadRequest);
        await IdentityHost.ProblemAsync(await device.SendAsync(HttpMethod.Get, "/v1/identity/key-statements"), HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Repeating_an_enrolment_with_the_same_token_and_keys_answers_the_same_node()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        var token = await TokenAsync(device);

        var first = await EnrolAsync(token, machine);
        // The machine crashed and makes a new request for the same key; the token's time is over by now.
        await host.CountAsync("UPDATE node_tokens SET expires_at = now() - interval '1 min' RETURNING 1");
        var second = await EnrolAsync(token, machine);

        Assert.Equal(first with { KeyStatement = "" }, second with { KeyStatement = "" });
    }

    [Fact]
    public async Task One_token_used_twice_at_once_makes_one_node()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var token = await TokenAsync(device);
        var machines = Enumerable.Range(0, 8).Select(_ => new Machine()).ToList();

        var answers = await Task.WhenAll(machines.Select(machine => PostAsync(token, machine)));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        Assert.Equal(7, answers.Count(answer => answer.StatusCode == HttpStatusCode.Conflict));
        Assert.Equal(1, await host.CountAsync($"SELECT count(*) FROM nodes WHERE tenant_id = '{device.Ids.TenantId}'"));
        machines.ForEach(machine => machine.Dispose());
    }

    [Fact]
    public async Task The_same_machine_asking_twice_at_once_is_one_node_for_both()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        var token = await TokenAsync(device);
        using var machine = new Machine();

        var nodes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => EnrolAsync(token, machine)));

        Assert.Single(nodes.Select(node => (node.NodeId, node.CertificatePem)).Distinct());
    }

    [Fact]
    public async Task Unknown_expired_and_used_tokens_are_refused()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        using var other = new Machine();
        var used = await TokenAsync(device);
        await EnrolAsync(used, machine);
        var expired = await TokenAsync(device, "late");
        await host.CountAsync("UPDATE node_tokens SET expires_at = now() - interval '1 min' WHERE node_name = 'late' RETURNING 1");

        Assert.Equal("badToken", await CodeAsync(await PostAsync("rtn_nothing", other), HttpStatusCode.Forbidden));
        Assert.Equal("badToken", await CodeAsync(await PostAsync(expired, other), HttpStatusCode.Forbidden));
        Assert.Equal("usedToken", await CodeAsync(await PostAsync(used, other), HttpStatusCode.Conflict));
    }

    [Fact]
    public async Task Keys_of_another_node_are_refused_and_the_token_stays_good()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        using var fresh = new Machine();
        await EnrolAsync(await TokenAsync(device), machine);
        var token = await TokenAsync(device);

        Assert.Equal("keyInUse", await CodeAsync(await PostAsync(token, machine), HttpStatusCode.Conflict));
        await EnrolAsync(token, fresh);
    }

    [Fact]
    public async Task A_request_that_does_not_prove_its_key_or_is_not_P256_is_refused()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        var token = await TokenAsync(device);
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using var rsa = RSA.Create(2048);
        using var thief = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        // Somebody else's public key, signed with the own one.
        var stolen = new CertificateRequest(new X500DistinguishedName("CN=x"), new PublicKey(machine.Key), HashAlgorithmName.SHA256)
            .CreateSigningRequest(X509SignatureGenerator.CreateForECDsa(thief));
        string[] bad =
        [
            "x", "", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", new string('a', 20_000),
            new CertificateRequest("CN=x", p384, HashAlgorithmName.SHA256).CreateSigningRequestPem(),
            new CertificateRequest("CN=x", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequestPem(),
            new string(PemEncoding.Write("CERTIFICATE REQUEST", stolen)),
        ];

        foreach (var csr in bad)
        {
            await IdentityHost.ProblemAsync(await PostAsync(token, machine, csr), HttpStatusCode.BadRequest);
        }

        await EnrolAsync(token, machine);
    }

    [Fact]
    public async Task A_revoked_node_is_on_the_list_and_stated_no_more_and_its_token_is_dead()
    {
        using var device = await TestDevice.SignUpAsync(host.Http);
        using var machine = new Machine();
        var token = await TokenAsync(device);
        var node = await EnrolAsync(token, machine);
        var before = await host.InternalGetAsync<RevocationList>("/internal/revocations", "ledger");

        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/nodes/{node.NodeId}")).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await device.SendAsync(HttpMethod.Delete, $"/v1/identity/nodes/{node.NodeId}")).StatusCode);

        var after = await host.InternalGetAsync<RevocationList>("/internal/revocations", "ledger");
        Assert.Contains(node.NodeId, after.Nodes);
        Assert.Equal(before.Version + 1, after.Version);
        Assert.True((await host.InternalGetAsync<NodeIdentity>($"/internal/nodes/{node.NodeId}")).Revoked);
        Assert.DoesNotContain(
            (await device.GetAsync<KeyStatementList>("/v1/identity/key-statements?kind=node")).Statements,
            jws => Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(jws.Split('.')[1])).Contains(node.NodeId.ToString(), StringComparison.Ordinal));
        Assert.Equal("revokedNode", await CodeAsync(await PostAsync(token, machine), HttpStatusCode.Forbidden));
        Assert.Equal(1, await host.CountAsync($"SELECT count(*) FROM outbox WHERE topic = 'revocations' AND component = 'broadcast' AND (payload->>'version')::bigint = {after.Version}"));
    }

    private static async Task<string> TokenAsync(TestDevice device, string name = "node-1") =>
        (await IdentityHost.ReadAsync<NodeTokenResponse>(await device.SendAsync(HttpMethod.Post, "/v1/identity/node-tokens", new NodeTokenRequest(name)))).Token;

    private Task<HttpResponseMessage> PostAsync(string token, Machine machine, string? csr = null) => host.Http.PostAsJsonAsync(
        "/v1/identity/node-enrolments", new EnrolNodeRequest(token, csr ?? machine.Csr(), machine.EncryptionKey), WireJson.Options);

    private async Task<EnrolNodeResponse> EnrolAsync(string token, Machine machine) => await IdentityHost.ReadAsync<EnrolNodeResponse>(await PostAsync(token, machine));

    private static async Task<string?> CodeAsync(HttpResponseMessage response, HttpStatusCode expected) =>
        (await IdentityHost.ProblemAsync(response, expected)).GetProperty("code").GetString();

    internal static bool Chains(X509Certificate2 certificate, X509Certificate2 ca)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(ca);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }

    internal static List<string> Uris(X509Certificate2 certificate)
    {
        var uris = new List<string>();
        var tag = new Asn1Tag(TagClass.ContextSpecific, 6);
        var names = new AsnReader(certificate.Extensions["2.5.29.17"]!.RawData, AsnEncodingRules.DER).ReadSequence();
        while (names.HasData)
        {
            uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, tag));
        }

        return uris;
    }
}
