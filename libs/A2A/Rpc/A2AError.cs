using System.Text.Json;
using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

/// <summary>The codes that JSON-RPC and A2A define. A2A's own range is -32001 to -32099.</summary>
public static class A2AErrorCodes
{
    public const int ParseError = -32700;
    public const int InvalidRequest = -32600;
    public const int MethodNotFound = -32601;
    public const int InvalidParams = -32602;
    public const int InternalError = -32603;
    public const int TaskNotFound = -32001;
    public const int TaskNotCancelable = -32002;
    public const int PushNotificationNotSupported = -32003;
    public const int UnsupportedOperation = -32004;
    public const int ContentTypeNotSupported = -32005;
    public const int InvalidAgentResponse = -32006;
    public const int ExtendedAgentCardNotConfigured = -32007;
    public const int ExtensionSupportRequired = -32008;
    public const int VersionNotSupported = -32009;
}

/// <summary>A member of the request that is wrong, by its JSON path (message.parts[0].raw), and why.</summary>
public sealed record FieldViolation(string Field, string Description);

/// <summary>An answer that refuses. <see cref="Data"/> holds google.rpc details, each with its <c>@type</c>.</summary>
public sealed record A2AError(int Code, string Message, IReadOnlyList<JsonObject> Data)
{
    private const string ErrorInfoType = "type.googleapis.com/google.rpc.ErrorInfo";
    private const string BadRequestType = "type.googleapis.com/google.rpc.BadRequest";
    private const string ProtocolDomain = "a2a-protocol.org";

    /// <summary>The machine-readable reason of the first ErrorInfo, such as TASK_NOT_FOUND.</summary>
    public string? Reason => Text(ErrorInfo()?["reason"]);

    /// <summary>What is wrong with which member, where the error says so.</summary>
    public IReadOnlyList<FieldViolation> FieldViolations =>
        Data.FirstOrDefault(detail => Text(detail["@type"]) == BadRequestType)?["fieldViolations"] is JsonArray violations
            ? [.. violations.OfType<JsonObject>().Select(v => new FieldViolation(Text(v["field"]) ?? "", Text(v["description"]) ?? ""))]
            : [];

    /// <summary>A value from the metadata of the first ErrorInfo.</summary>
    public string? Metadata(string key) => ErrorInfo()?["metadata"] is JsonObject metadata ? Text(metadata[key]) : null;

    /// <summary>Adds an ErrorInfo of the given domain; the first one decides <see cref="Reason"/>.</summary>
    public A2AError WithInfo(string reason, string domain, params (string Key, string Value)[] metadata) =>
        this with { Data = [.. Data, ErrorInfo(reason, domain, metadata)] };

    public static A2AError Parse(string detail) => new(A2AErrorCodes.ParseError, "The body is not valid JSON: " + detail, []);

    public static A2AError InvalidRequest(string message) => new(A2AErrorCodes.InvalidRequest, message, []);

    public static A2AError MethodNotFound(string message) => new(A2AErrorCodes.MethodNotFound, message, []);

    public static A2AError Internal(string message) => new(A2AErrorCodes.InternalError, message, []);

    public static A2AError InvalidParams(string field, string description) => InvalidParams([new(field, description)]);

    public static A2AError InvalidParams(IReadOnlyList<FieldViolation> violations)
    {
        var items = new JsonArray();
        foreach (var violation in violations)
        {
            items.Add(new JsonObject { ["field"] = violation.Field, ["description"] = violation.Description });
        }

        var message = "Invalid params: " + string.Join(" ", violations.Select(v => v.Field.Length == 0 ? v.Description : $"{v.Field}: {v.Description}"));
        return new(A2AErrorCodes.InvalidParams, message, [new JsonObject { ["@type"] = BadRequestType, ["fieldViolations"] = items }]);
    }

    /// <summary>The same answer for a task that does not exist and for one that the caller may not see.</summary>
    public static A2AError TaskNotFound(string taskId) => Protocol(
        A2AErrorCodes.TaskNotFound, "TASK_NOT_FOUND", $"Task '{taskId}' is not known. Check the id, and that you use the account that submitted it.", ("taskId", taskId));

    public static A2AError TaskNotCancelable(string taskId, TaskState state) => Protocol(
        A2AErrorCodes.TaskNotCancelable, "TASK_NOT_CANCELABLE", $"Task '{taskId}' is already {state} and cannot be canceled.", ("taskId", taskId), ("state", state.ToString()));

    public static A2AError PushNotificationNotSupported() => Protocol(
        A2AErrorCodes.PushNotificationNotSupported, "PUSH_NOTIFICATION_NOT_SUPPORTED", "This agent sends no push notifications. Use SendStreamingMessage or SubscribeToTask.");

    public static A2AError UnsupportedOperation(string message) => Protocol(A2AErrorCodes.UnsupportedOperation, "UNSUPPORTED_OPERATION", message);

    public static A2AError ContentTypeNotSupported(string message, params (string Key, string Value)[] metadata) =>
        Protocol(A2AErrorCodes.ContentTypeNotSupported, "CONTENT_TYPE_NOT_SUPPORTED", message, metadata);

    public static A2AError ExtendedAgentCardNotConfigured() => Protocol(
        A2AErrorCodes.ExtendedAgentCardNotConfigured, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", "This agent has no extended card; the public card is complete.");

    public static A2AError ExtensionSupportRequired(string uri) => Protocol(
        A2AErrorCodes.ExtensionSupportRequired, "EXTENSION_SUPPORT_REQUIRED", $"This agent requires the extension {uri}. List it in the A2A-Extensions header.", ("uri", uri));

    public static A2AError VersionNotSupported(string requested, string supported) => Protocol(
        A2AErrorCodes.VersionNotSupported,
        "VERSION_NOT_SUPPORTED",
        $"A2A version {requested} is not served here. Send the header 'A2A-Version: {supported}'; a request without it asks for 0.3.",
        ("requestedVersion", requested),
        ("supportedVersions", supported));

    private static A2AError Protocol(int code, string reason, string message, params (string Key, string Value)[] metadata) =>
        new(code, message, [ErrorInfo(reason, ProtocolDomain, metadata)]);

    private static JsonObject ErrorInfo(string reason, string domain, (string Key, string Value)[] metadata)
    {
        var info = new JsonObject { ["@type"] = ErrorInfoType, ["reason"] = reason, ["domain"] = domain };
        if (metadata.Length > 0)
        {
            info["metadata"] = new JsonObject(metadata.Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, pair.Value)));
        }

        return info;
    }

    private JsonObject? ErrorInfo() => Data.FirstOrDefault(detail => Text(detail["@type"]) == ErrorInfoType);

    private static string? Text(JsonNode? node) => node is JsonValue value && value.GetValueKind() is JsonValueKind.String ? value.GetValue<string>() : null;
}

/// <summary>Carries a refusal out of an async stream, and to the caller of <see cref="A2AClient"/>.</summary>
public sealed class A2AErrorException(A2AError error) : Exception(error.Message)
{
    public A2AError Error { get; } = error;
}
