using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>
/// Asks another app through the sidecars, typed by the contracts. Three faults are kept apart:
/// <see cref="AppUnavailableException"/> (never delivered), <see cref="UnknownOutcomeException"/> (may have taken effect),
/// <see cref="AppCallException"/> (the app said no).
/// </summary>
public sealed class AppInvoker(SidecarHttp sidecar)
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    /// <param name="path">With leading slash and query, as the app maps it: <c>/internal/jobs</c>.</param>
    public Task<TResponse> GetAsync<TResponse>(string appId, string path, CancellationToken cancellationToken) =>
        GetAsync<TResponse>(appId, path, timeout: null, cancellationToken);

    /// <summary>With a limit of its own, for long polls.</summary>
    public async Task<TResponse> GetAsync<TResponse>(string appId, string path, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, InvokePath(appId, path));
        return Read<TResponse>(appId, path, await SendAsync(request, appId, path, timeout, cancellationToken));
    }

    /// <summary>Null when the app answers 404: the thing is not there, or not the caller's.</summary>
    public async Task<TResponse?> FindAsync<TResponse>(string appId, string path, CancellationToken cancellationToken)
        where TResponse : class
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, InvokePath(appId, path));
        var answer = await SendAsync(request, appId, path, timeout: null, cancellationToken);
        // A sidecar that does not know the app says 404 as well; that is no answer of the app's.
        return answer.Status == HttpStatusCode.NotFound && ReadProblem(answer).ErrorCode is null ? null : Read<TResponse>(appId, path, answer);
    }

    public Task<TResponse> PostAsync<TRequest, TResponse>(string appId, string path, TRequest body, CancellationToken cancellationToken) =>
        PostAsync<TRequest, TResponse>(appId, path, body, timeout: null, cancellationToken);

    public async Task<TResponse> PostAsync<TRequest, TResponse>(string appId, string path, TRequest body, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        using var request = Post(appId, path, body);
        return Read<TResponse>(appId, path, await SendAsync(request, appId, path, timeout, cancellationToken));
    }

    /// <summary>For calls that answer 204.</summary>
    public async Task PostAsync<TRequest>(string appId, string path, TRequest body, CancellationToken cancellationToken)
    {
        using var request = Post(appId, path, body);
        var answer = await SendAsync(request, appId, path, timeout: null, cancellationToken);
        ThrowUnlessSuccess(appId, path, answer);
    }

    private static string InvokePath(string appId, string path) => $"v1.0/invoke/{appId}/method{path}";

    private static HttpRequestMessage Post<TRequest>(string appId, string path, TRequest body) => new(HttpMethod.Post, InvokePath(appId, path))
    {
        Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, WireJson.Options)) { Headers = { ContentType = Json } },
    };

    private async Task<Answer> SendAsync(HttpRequestMessage request, string appId, string path, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        var (response, body) = await sidecar.SendAsync(request, $"{request.Method} {appId}{path}", timeout, cancellationToken);
        using (response)
        {
            return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, body);
        }
    }

    private static TResponse Read<TResponse>(string appId, string path, Answer answer)
    {
        ThrowUnlessSuccess(appId, path, answer);
        try
        {
            return JsonSerializer.Deserialize<TResponse>(answer.Body, WireJson.Options)
                ?? throw new AppCallException(appId, path, answer.Status, "the body is null");
        }
        catch (JsonException exception)
        {
            throw new AppCallException(appId, path, answer.Status, $"the body is not a {typeof(TResponse).Name}: {exception.Message}");
        }
    }

    private static void ThrowUnlessSuccess(string appId, string path, Answer answer)
    {
        if ((int)answer.Status is >= 200 and < 300)
        {
            return;
        }

        var (detail, errorCode) = ReadProblem(answer);
        if (errorCode == "ERR_DIRECT_INVOKE")
        {
            // The sidecar says so both when the app was not found and when its answer got lost.
            throw new UnknownOutcomeException($"{appId}{path}: the sidecar could not complete the call ({detail}). Check that {appId} runs; ask again with the same id.");
        }

        throw new AppCallException(appId, path, answer.Status, detail);
    }

    private static (string? Detail, string? ErrorCode) ReadProblem(Answer answer)
    {
        if (answer.MediaType is null || !answer.MediaType.EndsWith("json", StringComparison.Ordinal))
        {
            return (null, null);
        }

        try
        {
            using var document = JsonDocument.Parse(answer.Body);
            var root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object
                ? (Text(root, "detail") ?? Text(root, "title") ?? Text(root, "message"), Text(root, "errorCode"))
                : (null, null);
        }
        catch (JsonException)
        {
            // An error body that is no JSON after all says nothing more than its status.
            return (null, null);
        }
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private sealed record Answer(HttpStatusCode Status, string? MediaType, byte[] Body);
}
