using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RenderTrust.A2A;
using RenderTrust.Client;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>An answer as it came.</summary>
internal sealed partial record Answer(int Status, string ContentType, string Headers, string Body)
{
    public static async Task<Answer> ReadAsync(HttpResponseMessage response)
    {
        using (response)
        {
            var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            var headers = response.Headers.Where(header => header.Key is not ("Date" or "DPoP-Nonce")).OrderBy(header => header.Key, StringComparer.Ordinal)
                .Select(header => $"{header.Key}: {string.Join(", ", header.Value)}");
            return new Answer((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType ?? "", string.Join('\n', headers), body);
        }
    }

    public JsonElement Json => JsonElement.Parse(Body);

    // A record would print every property, the parsed ones among them.
    public override string ToString() => $"HTTP {Status} {ContentType}\n{Headers}\n{(Body.Length > 2000 ? Body[..2000] + "..." : Body)}";

    /// <summary>The JSON-RPC error in it.</summary>
    public (int Code, string Message, string? Reason) Error
    {
        get
        {
            Assert.True(ContentType == "application/json", ToString());
            Assert.True(Json.TryGetProperty("error", out var error), $"This is no refusal: {this}");
            var reason = error.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Array
                ? data.EnumerateArray().Where(detail => detail.TryGetProperty("reason", out _)).Select(detail => detail.GetProperty("reason").GetString()).FirstOrDefault()
                : null;
            return (error.GetProperty("code").GetInt32(), error.GetProperty("message").GetString()!, reason);
        }
    }

    /// <summary>A JSON-RPC refusal whose message holds all of these words: the cause, the value and the remedy.</summary>
    public void AssertRefused(int code, string? reason, params string[] says)
    {
        Assert.True(Status is 200 or 413, ToString());
        var error = Error;
        Assert.True(code == error.Code, ToString());
        if (reason is not null)
        {
            Assert.True(reason == error.Reason, ToString());
        }

        Assert.All(says, word => Assert.True(error.Message.Contains(word, StringComparison.OrdinalIgnoreCase), $"'{word}' is not said: {this}"));
    }

    /// <summary>A problem of RFC 9457 with this status whose detail holds all of these words.</summary>
    public void AssertProblem(int status, params string[] says)
    {
        Assert.True(Status == status, ToString());
        Assert.True(ContentType == "application/problem+json", ToString());
        Assert.True(Json.GetProperty("status").GetInt32() == status, ToString());
        Assert.All(says, word => Assert.True(Body.Contains(word, StringComparison.OrdinalIgnoreCase), $"'{word}' is not said: {this}"));
    }

    /// <summary>The same answer with what may differ between two requests taken out: the ids that were asked for, and traces.</summary>
    public Answer Without(string id) => this with
    {
        Body = Trace().Replace(Body.Replace(id, "ID", StringComparison.OrdinalIgnoreCase), "TRACE"),
        Headers = Headers.Replace(id, "ID", StringComparison.OrdinalIgnoreCase),
    };

    [GeneratedRegex("\"(traceId|instance)\":\"[^\"]*\"|\"id\":\\d+")]
    private static partial Regex Trace();
}

/// <summary>Requests that the client library would never send.</summary>
internal static class Wire
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task<Answer> SendAsync(this RenderTrustClient client, HttpMethod method, string path, HttpContent? content = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(client.Profile.Facts.GatewayUrl, path)) { Content = content };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        // As curl does: whoever may be refused for its size asks first, and so hears the refusal instead of a broken connection.
        request.Headers.ExpectContinue = content?.Headers.ContentLength > 1_000_000;
        return await Answer.ReadAsync(await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token));
    }

    /// <summary>One JSON-RPC call, whatever its parameters are.</summary>
    public static Task<Answer> CallAsync(this RenderTrustClient client, string method, JsonNode? parameters)
    {
        var envelope = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = 1, ["method"] = method, ["params"] = parameters?.DeepClone() };
        return client.PostRpcAsync(Json(envelope.ToJsonString()));
    }

    public static Task<Answer> PostRpcAsync(this RenderTrustClient client, HttpContent content) => client.SendAsync(HttpMethod.Post, "/a2a", content, (A2AHeaders.Version, "1.0"));

    public static ByteArrayContent Json(string text) => Bytes(Encoding.UTF8.GetBytes(text), "application/json");

    public static ByteArrayContent Bytes(byte[] bytes, string mediaType)
    {
        var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(mediaType);
        return content;
    }
}
