using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Tests;

/// <summary>
/// The wire of the platform as the client sees it: real HTTP, real A2A endpoints, DPoP proofs checked, and switches to misbehave. What happens behind
/// the wire is the business of the services' own tests.
/// </summary>
internal sealed class FakePlatform : IAsyncDisposable
{
    public static readonly Guid Task = Guid.Parse("0199a1b2-c3d4-8e5f-8a6b-00000000dada");

    private readonly WebApplication _app;

    private FakePlatform(WebApplication app, TestCa ca)
    {
        _app = app;
        Ca = ca;
    }

    public Uri Url { get; private set; } = new("http://unset.example");

    public TestCa Ca { get; }

    public RecipientKeyPair Node { get; } = RecipientKeyPair.Generate();

    public List<string> Statements { get; } = [];

    /// <summary>The overflow pool's key, stated only where a test says so.</summary>
    public RecipientKeyPair Pool { get; } = RecipientKeyPair.Generate();

    public List<string> OverflowStatements { get; } = [];

    public ConcurrentQueue<string> AskedKinds { get; } = new();

    public ConcurrentQueue<string> Problems { get; } = new();

    public ConcurrentDictionary<string, byte[]> Blobs { get; } = new();

    public ConcurrentDictionary<string, MemoryStream> Uploads { get; } = new();

    public ConcurrentDictionary<string, byte> SeenProofs { get; } = new();

    public int TokensIssued { get; set; }

    public int TokenSeconds { get; set; } = 3600;

    public string? Nonce { get; set; }

    /// <summary>Upload requests to answer with 503 after taking half of their bytes.</summary>
    public int BrokenUploads { get; set; }

    /// <summary>Downloads to cut in the middle.</summary>
    public int BrokenDownloads { get; set; }

    public JsonElement? ParametersSchema { get; set; }

    public FakeAgent Agent { get; } = new();

    public static async Task<FakePlatform> StartAsync(bool https = false)
    {
        var ca = new TestCa();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listener =>
        {
            if (https)
            {
                var (certificate, key) = ca.Issue("gateway", "urn:test:gateway");
                listener.UseHttps(X509CertificateLoader.LoadPkcs12(certificate.CopyWithPrivateKey(key).Export(X509ContentType.Pkcs12), null));
            }
        }));
        builder.Services.AddA2AServer();
        FakePlatform platform = null!;
        builder.Services.AddSingleton<IA2AAgent>(_ => platform.Agent);
        builder.Services.ConfigureHttpJsonOptions(options =>
        {
            foreach (var converter in WireJson.Options.Converters)
            {
                options.SerializerOptions.Converters.Add(converter);
            }
        });
        var app = builder.Build();
        platform = new FakePlatform(app, ca);
        platform.Map();
        await app.StartAsync();
        platform.Url = new Uri(app.Urls.Single());
        platform.Statements.Add(platform.Ca.Statement(TestCa.NodeStatement(platform.Node.PublicKey)));
        return platform;
    }

    public async ValueTask DisposeAsync()
    {
        Agent.Release();
        await _app.DisposeAsync();
        Ca.Dispose();
        Node.Dispose();
        Pool.Dispose();
    }

    private void Map()
    {
        _app.Use(CheckSignInAsync);
        _app.MapGet("/v1/identity/trust", () => new TrustResponse(Ca.RootPem, Ca.Fingerprint, "https://127.0.0.1:8444"));
        _app.MapPost("/v1/identity/registrations", (RegisterRequest request) =>
            Jwt.Verify(request.Proof, request.DeviceKey) is { } claims && claims["aud"]!.GetValue<string>() == "rendertrust:registration"
            && claims["enc"]!.GetValue<string>() == request.EncryptionKey
                ? Results.Ok(new RegisterResponse(TenantId.New(), new DeviceId(Guid.CreateVersion7())))
                : Results.Problem("The proof is wrong.", statusCode: 401));
        _app.MapPost("/v1/identity/token", (HttpRequest request) =>
        {
            if (Nonce is { } nonce && Jwt.Claims(request.Headers["DPoP"]!)["nonce"]?.GetValue<string>() != nonce)
            {
                request.HttpContext.Response.Headers["DPoP-Nonce"] = nonce;
                return Results.Json(new { error = "use_dpop_nonce" }, statusCode: 400);
            }

            TokensIssued++;
            return Results.Json(new { access_token = $"token-{TokensIssued}", token_type = "DPoP", expires_in = TokenSeconds, scope = "jobs" });
        });
        _app.MapGet("/v1/identity/key-statements", (string kind) =>
        {
            AskedKinds.Enqueue(kind);
            return new KeyStatementList(kind == "overflow" ? [.. OverflowStatements] : [.. Statements]);
        });
        _app.MapGet("/v1/credits", () => new CreditBalance(5, 1, 0, 0));
        _app.MapPost("/v1/credits/top-ups", () => Results.Problem("Top-ups exist in Development only.", statusCode: 403));
        _app.MapGet("/v1/modules/{name}/{version}", (string name, string version) => name == "povray" ? Results.Ok(Module(version)) : Results.Problem($"Module {name} is unknown.", statusCode: 404));
        _app.MapGet("/v1/jobs/{jobId}", (JobId jobId) => new JobSummary(
            jobId, new TaskId(Task), "povray@1.0.0", JobStatus.Completed, null, 1, 1, 0, DateTimeOffset.UnixEpoch, null, new JobMoney(0, 0, 0, 0, 0, 0, true), [], []));
        MapBlobs();
        _app.MapGet(A2AHeaders.AgentCardPath, () => Results.Json(
            new AgentCard
            {
                Name = "fake",
                SupportedInterfaces = [new AgentInterface { Url = "https://elsewhere.example/a2a", ProtocolBinding = "JSONRPC", ProtocolVersion = "1.0" }],
            },
            A2AJson.Options));
        _app.MapA2AJsonRpc("/a2a");
    }

    private void MapBlobs()
    {
        _app.MapPost("/v1/uploads", (HttpRequest request) =>
        {
            var sha256 = Encoding.ASCII.GetString(Convert.FromBase64String(request.Headers["Upload-Metadata"].ToString().Split(' ')[1]));
            var id = $"{Guid.CreateVersion7():N}-{sha256}-{request.Headers["Upload-Length"]}";
            Uploads[id] = new MemoryStream();
            return Results.Created($"/v1/uploads/{id}", null);
        });
        _app.MapMethods("/v1/uploads/{id}", ["HEAD"], (string id, HttpResponse response) =>
        {
            if (!Uploads.TryGetValue(id, out var upload))
            {
                return Results.NotFound();
            }

            response.Headers["Upload-Offset"] = $"{upload.Length}";
            return Results.Ok();
        });
        _app.MapPatch("/v1/uploads/{id}", async (string id, HttpRequest request) =>
        {
            var upload = Uploads[id];
            if (request.Headers["Upload-Offset"] != $"{upload.Length}" || request.Headers["Tus-Resumable"] != "1.0.0")
            {
                return Results.StatusCode(409);
            }

            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            var broken = BrokenUploads-- > 0;
            upload.Write(body.GetBuffer(), 0, (int)(broken ? body.Length / 2 : body.Length));
            if (broken)
            {
                return Results.StatusCode(503);
            }

            request.HttpContext.Response.Headers["Upload-Offset"] = $"{upload.Length}";
            var parts = id.Split('-');
            if (upload.Length == long.Parse(parts[2]))
            {
                Blobs[parts[1]] = upload.ToArray();
                Uploads.Remove(id, out _);
            }

            return Results.NoContent();
        });
        _app.MapGet("/v1/blobs/{sha256}", async (string sha256, HttpContext http) =>
        {
            if (!Blobs.TryGetValue(sha256, out var bytes))
            {
                return Results.NotFound();
            }

            if (BrokenDownloads-- > 0)
            {
                http.Response.ContentLength = bytes.Length;
                await http.Response.Body.WriteAsync(bytes.AsMemory(0, bytes.Length / 2));
                await http.Response.Body.FlushAsync();
                http.Abort();
                return Results.Empty;
            }

            return Results.Bytes(bytes, enableRangeProcessing: true);
        });
    }

    private ModuleVersion Module(string version) => new(
        "povray", version, "POV-Ray", "Ray tracer", TenantId.New(), 60_000,
        new ModuleRuntime("127.0.0.1:5000/povray", "sha256:" + new string('0', 64), DeviceKind.Cpu, 512, 64, 64, 32, 1),
        null, ParametersSchema, null, [], [], DateTimeOffset.UnixEpoch);

    /// <summary>What the gateway's edge does: every request but the anonymous ones has a token and a fresh proof for itself.</summary>
    private async Task CheckSignInAsync(HttpContext http, RequestDelegate next)
    {
        var path = http.Request.Path.Value!;
        if (path is "/v1/identity/trust" or "/v1/identity/registrations")
        {
            await next(http);
            return;
        }

        var proof = http.Request.Headers["DPoP"].ToString();
        var claims = Jwt.VerifyWithOwnKey(proof);
        var token = http.Request.Headers.Authorization.ToString();
        var ath = token.StartsWith("DPoP ", StringComparison.Ordinal) ? Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(token[5..]))) : null;
        var problem = claims is null ? "signature"
            : claims["htm"]!.GetValue<string>() != http.Request.Method ? "htm"
            : claims["htu"]!.GetValue<string>() != $"{Url.GetLeftPart(UriPartial.Authority)}{path}" ? "htu"
            : claims["ath"]?.GetValue<string>() != ath ? "ath"
            : path != "/v1/identity/token" && ath is null ? "token"
            : !SeenProofs.TryAdd(claims["jti"]!.GetValue<string>(), 0) ? "jti"
            : null;
        if (problem is null && Nonce is { } nonce && path != "/v1/identity/token" && claims!["nonce"]?.GetValue<string>() != nonce)
        {
            http.Response.Headers["DPoP-Nonce"] = nonce;
            http.Response.StatusCode = 401;
            return;
        }

        if (problem is not null)
        {
            Problems.Enqueue($"{http.Request.Method} {path}: {problem}");
            await Results.Problem($"The proof's {problem} is wrong.", statusCode: 401).ExecuteAsync(http);
            return;
        }

        await next(http);
    }
}

internal static class Jwt
{
    public static JsonObject Claims(string jwt) => JsonNode.Parse(Base64Url.DecodeFromChars(jwt.Split('.')[1]))!.AsObject();

    public static JsonObject? VerifyWithOwnKey(string jwt)
    {
        if (jwt.Split('.').Length != 3)
        {
            return null;
        }

        var header = JsonNode.Parse(Base64Url.DecodeFromChars(jwt.Split('.')[0]))!;
        return header["typ"]!.GetValue<string>() == "dpop+jwt" ? Verify(jwt, header["jwk"].Deserialize<EcPublicJwk>(WireJson.Options)!) : null;
    }

    public static JsonObject? Verify(string jwt, EcPublicJwk key)
    {
        var parts = jwt.Split('.');
        using var publicKey = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Base64Url.DecodeFromChars(key.X), Y = Base64Url.DecodeFromChars(key.Y) },
        });
        return publicKey.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256)
            ? Claims(jwt)
            : null;
    }
}

/// <summary>An agent that plays a script: each stream takes the next one.</summary>
internal sealed class FakeAgent : IA2AAgent
{
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public List<SendMessageRequest> Sent { get; } = [];

    public A2AError? Refusal { get; set; }

    public List<Artifact> Artifacts { get; } = [];

    public TaskState State { get; set; } = TaskState.Working;

    /// <summary>Events of the next streams. Each just stops after its last event; one without events breaks its connection.</summary>
    public Queue<IReadOnlyList<StreamResponse>> Streams { get; } = new();

    public int Subscriptions { get; private set; }

    public AgentTask Snapshot() => new()
    {
        Id = FakePlatform.Task.ToString(),
        ContextId = "context",
        Status = new AgentTaskStatus { State = State, Timestamp = DateTimeOffset.UnixEpoch },
        Artifacts = Artifacts,
    };

    public void Release() => _released.TrySetResult();

    public Task<SendMessageResponse> SendMessageAsync(SendMessageRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        lock (Sent)
        {
            Sent.Add(request);
        }

        return Refusal is null ? Task.FromResult(new SendMessageResponse { Task = Snapshot() }) : throw new A2AErrorException(Refusal);
    }

    public IAsyncEnumerable<StreamResponse> SendStreamingMessageAsync(SendMessageRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        Sent.Add(request);
        return Refusal is null ? PlayAsync(call, cancellationToken) : throw new A2AErrorException(Refusal);
    }

    public Task<AgentTask> GetTaskAsync(GetTaskRequest request, A2ACall call, CancellationToken cancellationToken) =>
        request.Id == FakePlatform.Task.ToString() ? Task.FromResult(Snapshot()) : throw new A2AErrorException(A2AError.TaskNotFound(request.Id));

    public Task<AgentTask> CancelTaskAsync(RenderTrust.A2A.CancelTaskRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        State = TaskState.Canceled;
        return Task.FromResult(Snapshot());
    }

    public IAsyncEnumerable<StreamResponse> SubscribeToTaskAsync(SubscribeToTaskRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        Subscriptions++;
        return State.IsTerminal() ? throw new A2AErrorException(A2AError.UnsupportedOperation("The task has ended.")) : PlayAsync(call, cancellationToken);
    }

    private async IAsyncEnumerable<StreamResponse> PlayAsync(A2ACall call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var script = Streams.Dequeue();
        if (script.Count == 0)
        {
            call.Http.Abort();
            await _released.Task.WaitAsync(cancellationToken);
        }

        foreach (var item in script)
        {
            yield return item;
        }
    }
}
