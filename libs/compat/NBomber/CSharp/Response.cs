using NBomber.Contracts;

namespace NBomber.CSharp;

/// <summary>
/// What an iteration or a step answers. Name the arguments: one string alone fits several overloads. A custom latency above 0 replaces the measured one.
/// </summary>
public static class Response
{
    public static Response<object> Ok() => new("", isError: false, 0, "", 0);

    public static Response<object> Fail() => new("", isError: true, 0, "", 0);

    public static Response<object> Ok(string statusCode = "", long sizeBytes = 0, string message = "", double customLatencyMs = 0) =>
        new(statusCode, isError: false, sizeBytes, message, customLatencyMs);

    public static Response<T> Ok<T>(string statusCode = "", long sizeBytes = 0, string message = "", double customLatencyMs = 0) =>
        new(statusCode, isError: false, sizeBytes, message, customLatencyMs);

    public static Response<object> Fail(string statusCode = "", string message = "", long sizeBytes = 0, double customLatencyMs = 0) =>
        new(statusCode, isError: true, sizeBytes, message, customLatencyMs);

    public static Response<T> Fail<T>(string statusCode = "", string message = "", long sizeBytes = 0, double customLatencyMs = 0) =>
        new(statusCode, isError: true, sizeBytes, message, customLatencyMs);
}
