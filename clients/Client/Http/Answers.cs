using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Http;

/// <summary>Turns answers into values, and refusals of every form into <see cref="RenderTrustException"/>.</summary>
internal static class Answers
{
    private const int MaxDetailChars = 1_000;

    public static Task<T> GetAsync<T>(this HttpClient http, string path, CancellationToken cancellationToken) =>
        http.CallAsync<T>(() => new HttpRequestMessage(HttpMethod.Get, path), cancellationToken);

    public static Task<T> PostAsync<T>(this HttpClient http, string path, object body, CancellationToken cancellationToken) =>
        http.CallAsync<T>(
            () => new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent(body) }, cancellationToken);

    /// <summary>For calls that answer 204.</summary>
    public static async Task PostAsync(this HttpClient http, string path, object body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent(body) };
        using var response = await http.AskAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken);
        await response.RequireSuccessAsync(cancellationToken);
    }

    public static async Task DeleteAsync(this HttpClient http, string path, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, path);
        using var response = await http.AskAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken);
        await response.RequireSuccessAsync(cancellationToken);
    }

    /// <summary>Sends, and names what is wrong when nobody answers.</summary>
    public static async Task<HttpResponseMessage> AskAsync(
        this HttpClient http, HttpRequestMessage request, HttpCompletionOption completion, CancellationToken cancellationToken)
    {
        try
        {
            return await http.SendAsync(request, completion, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            throw Unreachable(http.BaseAddress, exception);
        }
        catch (TaskCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unreachable(http.BaseAddress, exception);
        }
    }

    public static async Task RequireSuccessAsync(this HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode)
        {
            throw await RefusalAsync(response, cancellationToken);
        }
    }

    public static RenderTrustException Unreachable(Uri? address, Exception exception) => new(
        RenderTrustError.Unreachable,
        $"{address?.GetLeftPart(UriPartial.Authority)} does not answer: {exception.GetBaseException().Message.TrimEnd('.')}. Check that the platform runs and the address is right.",
        exception);

    public static async Task<RenderTrustException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        var (detail, reason) = Problem(body);
        var where = $"{response.RequestMessage?.Method} {response.RequestMessage?.RequestUri?.AbsolutePath}";
        return new RenderTrustException(
            ErrorOf(response.StatusCode),
            detail ?? $"{where} was answered with {(int)response.StatusCode} {response.ReasonPhrase}. {Shorten(body)}".TrimEnd())
        {
            Status = response.StatusCode,
            Reason = reason,
        };
    }

    /// <summary>
    /// A fault behind the gateway that passes by itself. Sending again is safe, even when it is not known whether the first call took effect: jobs are known by
    /// their id and content.
    /// </summary>
    public static bool IsPassing(A2AError error) => error.Reason is "SERVICE_UNAVAILABLE" or "OUTCOME_UNKNOWN";

    public static RenderTrustException Refusal(A2AErrorException exception)
    {
        var error = exception.Error;
        return new RenderTrustException(
            error.Code switch
            {
                _ when error.Reason is "INSUFFICIENT_CREDITS" => RenderTrustError.InsufficientCredits,
                _ when error.Reason is "CONFLICTING_CONTENT" => RenderTrustError.Conflict,
                _ when IsPassing(error) => RenderTrustError.Busy,
                A2AErrorCodes.TaskNotFound => RenderTrustError.NotFound,
                A2AErrorCodes.InternalError => RenderTrustError.ServerFault,
                _ => RenderTrustError.Refused,
            },
            error.Message,
            exception)
        {
            RpcCode = error.Code,
            Reason = error.Reason,
        };
    }

    public static RenderTrustException Refusal(A2AHttpException exception) =>
        new(ErrorOf(exception.Status), exception.Detail is { Length: > 0 } detail ? detail : exception.Message, exception) { Status = exception.Status };

    private static async Task<T> CallAsync<T>(this HttpClient http, Func<HttpRequestMessage> make, CancellationToken cancellationToken)
    {
        using var request = make();
        using var response = await http.AskAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken);
        await response.RequireSuccessAsync(cancellationToken);
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(WireJson.Options, cancellationToken)
                ?? throw new JsonException("The body is null.");
        }
        catch (JsonException exception)
        {
            throw new RenderTrustException(
                RenderTrustError.ServerFault,
                $"{request.Method} {request.RequestUri?.AbsolutePath} was answered with a body that is no {typeof(T).Name}: {exception.Message}",
                exception) { Status = response.StatusCode };
        }
    }

    /// <summary>With a length and in memory, so that a request can be sent again with a new proof.</summary>
    internal static ByteArrayContent JsonContent(object body)
    {
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, body.GetType(), WireJson.Options));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    private static RenderTrustError ErrorOf(HttpStatusCode status) => (int)status switch
    {
        401 => RenderTrustError.SignInRefused,
        403 => RenderTrustError.Forbidden,
        404 => RenderTrustError.NotFound,
        409 => RenderTrustError.Conflict,
        429 or 503 => RenderTrustError.Busy,
        >= 500 => RenderTrustError.ServerFault,
        _ => RenderTrustError.Refused,
    };

    /// <summary>Reads problem+json, and the OAuth form that the token endpoint answers with.</summary>
    private static (string? Detail, string? Reason) Problem(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var root = document.RootElement;
            if (root.ValueKind is not JsonValueKind.Object)
            {
                return (null, null);
            }

            var text = new StringBuilder(Text(root, "detail") ?? Text(root, "error_description") ?? Text(root, "title"));
            if (root.TryGetProperty("errors", out var errors) && errors.ValueKind is JsonValueKind.Object)
            {
                foreach (var field in errors.EnumerateObject())
                {
                    text.Append(text.Length > 0 ? " " : "").Append(field.Name).Append(": ");
                    text.AppendJoin(' ', field.Value.ValueKind is JsonValueKind.Array ? field.Value.EnumerateArray().Select(v => v.ToString()) : [field.Value.ToString()]);
                }
            }

            return (text.Length > 0 ? text.ToString() : null, Text(root, "reason") ?? Text(root, "code") ?? Text(root, "error") ?? Text(root, "outcome"));
        }
        catch (JsonException)
        {
            // Not JSON: the caller shows the beginning of the body as it came.
            return (null, null);
        }
    }

    private static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static string Shorten(string body) => body.Length > MaxDetailChars ? body[..MaxDetailChars] + "..." : body;
}
