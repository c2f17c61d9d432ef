using System.Text.Json;

namespace RenderTrust.A2A;

/// <summary>A valid JSON-RPC 2.0 call. <see cref="Id"/> is kept as it came, so that it is echoed with the same type and spelling.</summary>
internal sealed record JsonRpcRequest(JsonElement Id, string Method, JsonElement Params)
{
    /// <summary>Gives the call, or the error together with the id to echo (undefined: null).</summary>
    public static (JsonRpcRequest? Request, A2AError? Error, JsonElement Id) Read(JsonElement body)
    {
        if (body.ValueKind is JsonValueKind.Array)
        {
            return (null, A2AError.InvalidRequest("Batches are not part of A2A. Send one request object per POST."), default);
        }

        if (body.ValueKind is not JsonValueKind.Object)
        {
            return (null, A2AError.InvalidRequest($"The body is a JSON {body.ValueKind}; a JSON-RPC request is an object."), default);
        }

        if (!body.TryGetProperty("id", out var id))
        {
            return (null, A2AError.InvalidRequest("'id' is missing. A2A has no notifications: every request has an id."), default);
        }

        if (id.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.Null))
        {
            return (null, A2AError.InvalidRequest($"'id' is a JSON {id.ValueKind}; it must be a string, a number or null."), default);
        }

        if (!body.TryGetProperty("jsonrpc", out var version) || version.ValueKind is not JsonValueKind.String || !version.ValueEquals("2.0"u8))
        {
            return (null, A2AError.InvalidRequest("'jsonrpc' must be the string \"2.0\"."), id);
        }

        if (!body.TryGetProperty("method", out var method) || method.ValueKind is not JsonValueKind.String)
        {
            return (null, A2AError.InvalidRequest("'method' must be a string."), id);
        }

        body.TryGetProperty("params", out var parameters);
        return (new(id, method.GetString()!, parameters), null, id);
    }

    /// <summary>Reads the params as a request message, or says which member is wrong.</summary>
    public T ReadParams<T>()
        where T : class
    {
        if (Params.ValueKind is not JsonValueKind.Object)
        {
            var found = Params.ValueKind is JsonValueKind.Undefined ? "missing" : $"a JSON {Params.ValueKind}";
            throw new A2AErrorException(A2AError.InvalidParams("params", $"is {found}; {Method} needs an object."));
        }

        try
        {
            return Params.Deserialize<T>(A2AJson.Options)!;
        }
        catch (JsonException exception)
        {
            throw new A2AErrorException(A2AError.InvalidParams(FieldOf(exception), Describe(exception)));
        }
    }

    private static string FieldOf(JsonException exception) => (exception.Path ?? "").TrimStart('$').TrimStart('.');

    private static string Describe(JsonException exception)
    {
        // System.Text.Json appends " Path: $.x | LineNumber: ..." to its own texts; the path is already the field.
        var end = exception.Message.IndexOf(" Path: ", StringComparison.Ordinal);
        var text = end < 0 ? exception.Message : exception.Message[..end];
        return text.StartsWith("The JSON value could not be converted", StringComparison.Ordinal) ? "has a value of the wrong type." : text;
    }
}
