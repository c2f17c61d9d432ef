using System.Net;
using System.Text.Json;

namespace RenderTrust.A2A;

/// <summary>The answer was not JSON-RPC: a refused sign-in, a proxy, a server that is down.</summary>
public sealed class A2AHttpException(HttpStatusCode status, string detail) : Exception($"The agent's server answered {(int)status} {status}: {detail}")
{
    private const int MaxDetailChars = 2000;

    public HttpStatusCode Status { get; } = status;

    /// <summary>The problem's detail where the body is problem+json, else the beginning of the body.</summary>
    public string Detail { get; } = detail;

    internal static async Task<A2AHttpException> FromAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        return new A2AHttpException(response.StatusCode, Problem(body) ?? (body.Length > MaxDetailChars ? body[..MaxDetailChars] : body));
    }

    private static string? Problem(string body)
    {
        try
        {
            using var problem = JsonDocument.Parse(body);
            var root = problem.RootElement;
            return root.ValueKind is JsonValueKind.Object && (root.TryGetProperty("detail", out var detail) || root.TryGetProperty("title", out detail)) ? detail.ToString() : null;
        }
        catch (JsonException)
        {
            // Not JSON: the caller shows the body as it came.
            return null;
        }
    }
}
