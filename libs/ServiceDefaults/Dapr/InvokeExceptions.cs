using System.Net;

namespace RenderTrust.ServiceDefaults;

/// <summary>The call may or may not have taken effect: repeat it with the same id, or look up what became of it.</summary>
public sealed class UnknownOutcomeException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The call was never delivered: it surely took no effect.</summary>
public sealed class AppUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The app answered, but not with success.</summary>
public sealed class AppCallException(string appId, string path, HttpStatusCode statusCode, string? detail)
    : Exception($"{appId} answered {path} with {(int)statusCode}: {detail ?? "no detail given"}")
{
    public string AppId { get; } = appId;

    public string Path { get; } = path;

    public HttpStatusCode StatusCode { get; } = statusCode;

    /// <summary><c>detail</c> or <c>title</c> of the problem that the app answered.</summary>
    public string? Detail { get; } = detail;
}
