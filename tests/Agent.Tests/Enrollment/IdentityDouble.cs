using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.Agent.Tests.Nodes;
using RenderTrust.Contracts;

namespace RenderTrust.Agent.Tests.Enrollment;

/// <summary>The enrolment route of identity: one-time tokens, repeatable with the same keys.</summary>
internal sealed class IdentityDouble : IAsyncDisposable
{
    private readonly WebApplication _app;

    private IdentityDouble(WebApplication app, TestAuthority authority)
    {
        _app = app;
        Authority = authority;
    }

    public TestAuthority Authority { get; }

    public Uri Address => new(_app.Urls.First());

    public List<EnrolNodeRequest> Requests { get; } = [];

    public string HubUrl { get; set; } = "https://127.0.0.1:1";

    /// <summary>Turns the answer into something else, to see what the agent makes of it.</summary>
    public Func<EnrolNodeRequest, EnrolNodeResponse, EnrolNodeResponse>? Twist { get; set; }

    /// <summary>Answers are lost on the way while this is positive.</summary>
    public int LostAnswers { get; set; }

    public static async Task<IdentityDouble> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            foreach (var converter in WireJson.Options.Converters)
            {
                json.SerializerOptions.Converters.Add(converter);
            }
        });
        var app = builder.Build();
        var identity = new IdentityDouble(app, new TestAuthority());
        app.MapPost("/v1/identity/node-enrolments", identity.Enrol);
        await app.StartAsync();
        return identity;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Authority.Dispose();
    }

    private IResult Enrol(EnrolNodeRequest request)
    {
        Requests.Add(request);
        if (request.Token != "one-time-token" || (Requests.Count > 1 && Requests[0].EncryptionKey != request.EncryptionKey))
        {
            return Results.Problem("The token is spent or unknown. Make a new one with: rendertrust node token", statusCode: 401);
        }

        if (LostAnswers-- > 0)
        {
            return Results.StatusCode(502);
        }

        var id = Guid.Parse("01890000-0000-7000-8000-000000000001");
        using var certificate = Authority.IssueNode(request.CsrPem, id);
        var response = new EnrolNodeResponse(new NodeId(id), "test node", certificate.ExportCertificatePem(), Authority.Pem, HubUrl, "statement");
        return Results.Json(Twist?.Invoke(request, response) ?? response, WireJson.Options);
    }
}
