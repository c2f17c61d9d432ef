namespace NBomber.Contracts.Stats;

/// <summary>What a session came to.</summary>
public sealed class NodeStats
{
    internal NodeStats()
    {
    }

    public ScenarioStats[] ScenarioStats { get; internal init; } = [];

    public ThresholdResult[] Thresholds { get; internal init; } = [];

    public NodeInfo NodeInfo { get; internal init; } = new();

    public TestInfo TestInfo { get; internal init; } = new();

    public int AllRequestCount { get; internal init; }

    public int AllOkCount { get; internal init; }

    public int AllFailCount { get; internal init; }

    public long AllBytes { get; internal init; }

    public TimeSpan Duration { get; internal init; }

    public ReportFile[] ReportFiles { get; internal set; } = [];
}

/// <summary><c>Ok</c> and <c>Fail</c> are of whole iterations; <c>All…</c> counts iterations and steps.</summary>
public sealed class ScenarioStats
{
    internal ScenarioStats()
    {
    }

    public string ScenarioName { get; internal init; } = "";

    public MeasurementStats Ok { get; internal init; } = new();

    public MeasurementStats Fail { get; internal init; } = new();

    public StepStats[] StepStats { get; internal init; } = [];

    public LoadSimulationStats LoadSimulationStats { get; internal init; } = new();

    public OperationType CurrentOperation { get; internal init; }

    public int AllRequestCount { get; internal init; }

    public int AllOkCount { get; internal init; }

    public int AllFailCount { get; internal init; }

    public long AllBytes { get; internal init; }

    public TimeSpan Duration { get; internal init; }
}

public sealed class StepStats
{
    internal StepStats()
    {
    }

    public string StepName { get; internal init; } = "";

    public MeasurementStats Ok { get; internal init; } = new();

    public MeasurementStats Fail { get; internal init; } = new();
}

/// <summary>The load that ran last: copies, or new copies an interval.</summary>
public sealed class LoadSimulationStats
{
    internal LoadSimulationStats()
    {
    }

    public string SimulationName { get; internal init; } = "";

    public int Value { get; internal init; }
}

public sealed class ThresholdResult
{
    internal ThresholdResult()
    {
    }

    public string ScenarioName { get; internal init; } = "";

    /// <summary>Empty for the whole scenario.</summary>
    public string StepName { get; internal init; } = "";

    public string CheckExpression { get; internal init; } = "";

    /// <summary>Empty unless the check itself threw.</summary>
    public string ExceptionMsg { get; internal init; } = "";

    /// <summary>Looks at which it did not hold.</summary>
    public int ErrorCount { get; internal init; }

    public bool IsFailed { get; internal init; }
}

public sealed class ReportFile
{
    internal ReportFile()
    {
    }

    public string FilePath { get; internal init; } = "";

    public ReportFormat ReportFormat { get; internal init; }

    public string ReportContent { get; internal init; } = "";
}

public enum ReportFormat
{
    Txt = 0,
    Html = 1,
    Csv = 2,
    Md = 3,
}

public enum OperationType
{
    None = 0,
    Init = 1,
    WarmUp = 2,
    Bombing = 3,
    Stop = 4,
    Complete = 5,
    Error = 6,
}

public sealed class TestInfo
{
    internal TestInfo()
    {
    }

    public string SessionId { get; internal init; } = "";

    public string TestSuite { get; internal init; } = "";

    public string TestName { get; internal init; } = "";
}

public sealed class NodeInfo
{
    internal NodeInfo()
    {
    }

    public string MachineName { get; internal init; } = "";

    public OperationType CurrentOperation { get; internal init; }

    public string OS { get; internal init; } = "";

    public string DotNetVersion { get; internal init; } = "";

    public string Processor { get; internal init; } = "";

    public int CoresCount { get; internal init; }
}
