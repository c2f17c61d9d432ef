using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.Identity.Tests;

/// <summary>A creator's device as an independent client would write it: JWTs by hand, nothing shared with the service.</summary>
public sealed class TestDevice : IDisposable
{
    private readonly HttpClient http;

    public TestDevice(HttpClient http) => this.http = http;

    public ECDsa Key { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public string EncryptionKey { get; init; } = NewPoint();

    public RegisterResponse Ids { get; private set; } = null!;

    public string Token { get; private set; } = "";

    public EcPublicJwk Jwk
    {
        get
        {
            var q = Key.ExportParameters(false).Q;
            return new EcPublicJwk("EC", "P-256", Base64Url.EncodeToString(q.X), Base64Url.EncodeToString(q.Y));
        }
    }

    public static async Task<TestDevice> SignUpAsync(HttpClient http, string scope = "")
    {
        var device = new TestDevice(http);
        device.Ids = await IdentityHost.ReadAsync<RegisterResponse>(await device.RegisterAsync());
        var token = await IdentityHost.ReadAsync<JsonElement>(await device.AskTokenAsync(scope: scope));
        device.Token = token.GetProperty("access_token").GetString()!;
        return device;
    }

    public static string NewPoint()
    {
        using var key = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        var q = key.ExportParameters(false).Q;
        return Base64Url.EncodeToString([4, .. q.X!, .. q.Y!]);
    }

    public RegisterRequest Registration(string? proof = null, string? encryptionKey = null) =>
        new("Ada", "laptop", Jwk, encryptionKey ?? EncryptionKey, proof ?? Sign(Claims(aud: "rendertrust:registration", enc: EncryptionKey)));

    public Task<HttpResponseMessage> RegisterAsync(RegisterRequest? request = null, HttpClient? at = null) =>
        (at ?? http).PostAsJsonAsync("/v1/identity/registrations", request ?? Registration(), WireJson.Options);

    public string Assertion(string? device = null, string aud = "rendertrust:token", int age = 0, int life = 120, string? jti = null, ECDsa? signer = null)
    {
        var id = device ?? Ids.DeviceId.ToString();
        return Sign(Claims(aud, age, life, jti, iss: id), signer: signer);
    }

    public string Proof(string method = "POST", string url = IdentityHost.PublicUrl + "/v1/identity/token", string? jti = null, ECDsa? key = null, int age = 0)
    {
        var q = (key ?? Key).ExportParameters(false).Q;
        var header = $$"""{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"{{Base64Url.EncodeToString(q.X)}}","y":"{{Base64Url.EncodeToString(q.Y)}}"} }""";
        return Sign(
            $$"""{"jti":"{{jti ?? Guid.NewGuid().ToString()}}","htm":"{{method}}","htu":"{{url}}","iat":{{DateTimeOffset.UtcNow.ToUnixTimeSeconds() - age}}}""", header, key);
    }

    public async Task<HttpResponseMessage> AskTokenAsync(
        string? assertion = null, string? proof = null, string scope = "", string grant = "urn:ietf:params:oauth:grant-type:jwt-bearer", bool withProof = true, HttpClient? at = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/identity/token")
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = grant, ["assertion"] = assertion ?? Assertion(), ["scope"] = scope }),
        };
        if (withProof)
        {
            request.Headers.Add("DPoP", proof ?? Proof());
        }

        return await (at ?? http).SendAsync(request);
    }

    /// <summary>As the gateway forwards it: a plain bearer token.</summary>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, object? body = null, string? token = null)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token ?? Token);
        if (body is not null)
        {
            request.Content = JsonContent.Create(body, options: WireJson.Options);
        }

        return await http.SendAsync(request);
    }

    public async Task<T> GetAsync<T>(string path) => await IdentityHost.ReadAsync<T>(await SendAsync(HttpMethod.Get, path));

    public static string Claims(string aud, int age = 0, int life = 120, string? jti = null, string? iss = null, string? enc = null)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds() - age;
        var claims = new Dictionary<string, object> { ["aud"] = aud, ["jti"] = jti ?? Guid.NewGuid().ToString(), ["iat"] = now, ["exp"] = now + life };
        if (iss is not null)
        {
            claims["iss"] = claims["sub"] = iss;
        }

        if (enc is not null)
        {
            claims["enc"] = enc;
        }

        return JsonSerializer.Serialize(claims);
    }

    public string Sign(string payload, string header = """{"alg":"ES256","typ":"JWT"}""", ECDsa? signer = null)
    {
        var signed = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header)) + "." + Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload));
        return signed + "." + Base64Url.EncodeToString((signer ?? Key).SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256));
    }

    public void Dispose() => Key.Dispose();
}
