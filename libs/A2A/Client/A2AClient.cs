using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

/// <summary>
/// Calls an agent over JSON-RPC. Refusals arrive as <see cref="A2AErrorException"/>, anything that is not JSON-RPC as <see cref="A2AHttpException"/>.
/// Authentication belongs to the HttpClient's handlers: a proof per request cannot be a default header. Set the HttpClient's timeout to infinite
/// for streams and blocking sends; the token bounds every call.
/// </summary>
public sealed class A2AClient(HttpClient http, Uri endpoint)
{
    private long _lastId;

    /// <summary>Extension URIs listed with every request.</summary>
    public IReadOnlyList<string> Extensions { get; init; } = [];

    /// <summary>Gets the card of the agent that lives at the origin of <paramref name="agent"/>.</summary>
    public static async Task<AgentCard> GetAgentCardAsync(HttpClient http, Uri agent, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(agent, A2AHeaders.AgentCardPath));
        request.Headers.Add(A2AHeaders.Version, A2AHeaders.CurrentVersion);
        using var response = await http.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw await A2AHttpException.FromAsync(response, cancellationToken);
        }

        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        return await JsonSerializer.DeserializeAsync<AgentCard>(body, A2AJson.Options, cancellationToken)
            ?? throw new A2AErrorException(A2AError.Internal("The agent card is the JSON value null."));
    }

    public Task<SendMessageResponse> SendMessageAsync(SendMessageRequest request, CancellationToken cancellationToken) =>
        CallAsync<SendMessageResponse>(A2AMethods.SendMessage, request, cancellationToken);

    public IAsyncEnumerable<StreamResponse> SendStreamingMessageAsync(SendMessageRequest request, CancellationToken cancellationToken) =>
        StreamAsync(A2AMethods.SendStreamingMessage, request, cancellationToken);

    public Task<AgentTask> GetTaskAsync(string taskId, int? historyLength, CancellationToken cancellationToken) =>
        CallAsync<AgentTask>(A2AMethods.GetTask, new GetTaskRequest { Id = taskId, HistoryLength = historyLength }, cancellationToken);

    public Task<AgentTask> CancelTaskAsync(string taskId, CancellationToken cancellationToken) =>
        CallAsync<AgentTask>(A2AMethods.CancelTask, new CancelTaskRequest { Id = taskId }, cancellationToken);

    /// <summary>
    /// The task's snapshot, then its events. A stream that ends before a terminal state was cut: subscribe again, the next snapshot carries what was missed.
    /// </summary>
    public IAsyncEnumerable<StreamResponse> SubscribeToTaskAsync(string taskId, CancellationToken cancellationToken) =>
        StreamAsync(A2AMethods.SubscribeToTask, new SubscribeToTaskRequest { Id = taskId }, cancellationToken);

    /// <summary>Any method, for operations that have no wrapper here.</summary>
    public async Task<T> CallAsync<T>(string method, object parameters, CancellationToken cancellationToken)
    {
        using var request = Request(method, parameters, "application/json");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        return await ReadAnswerAsync<T>(response, cancellationToken);
    }

    private async IAsyncEnumerable<StreamResponse> StreamAsync(string method, object parameters, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = Request(method, parameters, "text/event-stream");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            // Errors before the first event come as an ordinary answer; an agent that cannot stream may answer so too.
            yield return await ReadAnswerAsync<StreamResponse>(response, cancellationToken);
            yield break;
        }

        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(body, static (_, data) => JsonDocument.Parse(data.ToArray())).EnumerateAsync(cancellationToken))
        {
            using (item.Data)
            {
                yield return Result<StreamResponse>(item.Data.RootElement);
            }
        }
    }

    private HttpRequestMessage Request(string method, object parameters, string accept)
    {
        var envelope = new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = Interlocked.Increment(ref _lastId),
            ["method"] = method,
            ["params"] = JsonSerializer.SerializeToNode(parameters, parameters.GetType(), A2AJson.Options),
        };
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(envelope, A2AJson.Options));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        var request = new HttpRequestMessage(HttpMethod.Post, endpoint) { Content = content };
        request.Headers.Add(A2AHeaders.Version, A2AHeaders.CurrentVersion);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(accept));
        if (Extensions.Count > 0)
        {
            request.Headers.Add(A2AHeaders.Extensions, string.Join(", ", Extensions));
        }

        return request;
    }

    private static async Task<T> ReadAnswerAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentType?.MediaType is not ("application/json" or "application/a2a+json"))
        {
            throw await A2AHttpException.FromAsync(response, cancellationToken);
        }

        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var answer = await JsonDocument.ParseAsync(body, default, cancellationToken);
        return Result<T>(answer.RootElement);
    }

    private static T Result<T>(JsonElement answer)
    {
        if (answer.ValueKind is JsonValueKind.Object && answer.TryGetProperty("error", out var error) && error.ValueKind is JsonValueKind.Object)
        {
            throw new A2AErrorException(ReadError(error));
        }

        if (answer.ValueKind is not JsonValueKind.Object || !answer.TryGetProperty("result", out var result))
        {
            throw new A2AErrorException(A2AError.Internal("The answer has neither a result nor an error."));
        }

        return result.Deserialize<T>(A2AJson.Options) ?? throw new A2AErrorException(A2AError.Internal("The result is the JSON value null."));
    }

    private static A2AError ReadError(JsonElement error)
    {
        var code = error.TryGetProperty("code", out var number) && number.TryGetInt32(out var value) ? value : A2AErrorCodes.InternalError;
        var message = error.TryGetProperty("message", out var text) ? text.ToString() : "The agent gave no message.";
        JsonObject[] data = error.TryGetProperty("data", out var details) && details.ValueKind is JsonValueKind.Array
            ? [.. details.EnumerateArray().Where(d => d.ValueKind is JsonValueKind.Object).Select(d => JsonObject.Create(d.Clone())!)]
            : [];
        return new A2AError(code, message, data);
    }
}
