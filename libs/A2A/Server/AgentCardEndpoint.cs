using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace RenderTrust.A2A;

public static class AgentCardEndpoint
{
    /// <summary>Serves the card at the well-known path with an entity tag over its bytes, so that clients can ask cheaply whether it changed.</summary>
    public static IEndpointConventionBuilder MapA2AAgentCard(
        this IEndpointRouteBuilder endpoints, Func<HttpContext, CancellationToken, ValueTask<AgentCard>> card, TimeSpan maxAge) =>
        endpoints.MapGet(A2AHeaders.AgentCardPath, async (HttpContext http) =>
        {
            var bytes = JsonSerializer.SerializeToUtf8Bytes(await card(http, http.RequestAborted), A2AJson.Options);
            var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\"";
            http.Response.Headers.ETag = tag;
            http.Response.Headers.CacheControl = $"public, max-age={(int)maxAge.TotalSeconds}";
            if (Matches(http.Request, tag))
            {
                http.Response.StatusCode = StatusCodes.Status304NotModified;
                return;
            }

            http.Response.ContentType = "application/json";
            http.Response.ContentLength = bytes.Length;
            await http.Response.Body.WriteAsync(bytes, http.RequestAborted);
        }).WithName("a2a-agent-card");

    private static bool Matches(HttpRequest request, string tag) =>
        request.Headers.IfNoneMatch.SelectMany(line => (line ?? "").Split(',', StringSplitOptions.TrimEntries))
            .Any(candidate => candidate == "*" || candidate == tag || candidate == "W/" + tag);
}
