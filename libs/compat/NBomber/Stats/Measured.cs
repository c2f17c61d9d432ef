namespace NBomber.Contracts.Stats;

/// <summary>Figures of one kind of outcome of a scenario or step. Latencies are milliseconds with two decimals, data are bytes.</summary>
public sealed class MeasurementStats
{
    internal MeasurementStats()
    {
    }

    public RequestStats Request { get; internal init; } = new();

    public LatencyStats Latency { get; internal init; } = new();

    public DataTransferStats DataTransfer { get; internal init; } = new();

    public StatusCodeStats[] StatusCodes { get; internal init; } = [];
}

public sealed class RequestStats
{
    internal RequestStats()
    {
    }

    public int Count { get; internal init; }

    /// <summary>By the time that load ran, pauses left out, with one decimal.</summary>
    public double RPS { get; internal init; }

    /// <summary>Of all outcomes.</summary>
    public int Percent { get; internal init; }
}

public sealed class LatencyStats
{
    internal LatencyStats()
    {
    }

    public double MinMs { get; internal init; }

    public double MeanMs { get; internal init; }

    public double MaxMs { get; internal init; }

    public double Percent50 { get; internal init; }

    public double Percent75 { get; internal init; }

    public double Percent95 { get; internal init; }

    public double Percent99 { get; internal init; }

    public double StdDev { get; internal init; }

    public LatencyCount LatencyCount { get; internal init; } = new();
}

/// <summary>Counts by milliseconds.</summary>
public sealed class LatencyCount
{
    internal LatencyCount()
    {
    }

    public int LessOrEq800 { get; internal init; }

    public int More800Less1200 { get; internal init; }

    public int MoreOrEq1200 { get; internal init; }
}

public sealed class DataTransferStats
{
    internal DataTransferStats()
    {
    }

    public long MinBytes { get; internal init; }

    public long MeanBytes { get; internal init; }

    public long MaxBytes { get; internal init; }

    public long Percent50 { get; internal init; }

    public long Percent75 { get; internal init; }

    public long Percent95 { get; internal init; }

    public long Percent99 { get; internal init; }

    public double StdDev { get; internal init; }

    public long AllBytes { get; internal init; }
}

public sealed class StatusCodeStats
{
    internal StatusCodeStats()
    {
    }

    public string StatusCode { get; internal init; } = "";

    public bool IsError { get; internal init; }

    public string Message { get; internal init; } = "";

    public int Count { get; internal init; }

    public int Percent { get; internal init; }
}
