namespace NBomber.Contracts;

public interface IResponse
{
    /// <summary>Counted in the report where it is not empty.</summary>
    string StatusCode { get; }

    bool IsError { get; }

    long SizeBytes { get; }

    /// <summary>Above 0 it replaces the measured latency.</summary>
    double CustomLatencyMs { get; }

    string Message { get; }
}

/// <summary>What a step or an iteration answers; made by <see cref="NBomber.CSharp.Response"/>.</summary>
public sealed class Response<T> : IResponse
{
    internal Response(string? statusCode, bool isError, long sizeBytes, string? message, double customLatencyMs)
    {
        (StatusCode, IsError, SizeBytes, Message, CustomLatencyMs) = (statusCode ?? "", isError, sizeBytes, message ?? "", customLatencyMs);
    }

    public string StatusCode { get; }

    public bool IsError { get; }

    public long SizeBytes { get; }

    public double CustomLatencyMs { get; }

    public string Message { get; }
}
