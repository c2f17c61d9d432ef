using NBomber.Contracts;
using NBomber.Contracts.Stats;
using NBomber.Running;

namespace NBomber.CSharp;

/// <summary>Puts a session together and runs it.</summary>
public static class NBomberRunner
{
    public static NBomberContext RegisterScenarios(params ScenarioProps[] scenarios) => new() { Scenarios = [.. scenarios] };

    /// <summary>Runs only these of the registered scenarios.</summary>
    public static NBomberContext WithTargetScenarios(this NBomberContext context, params string[] scenarioNames) => context with { Targets = [.. scenarioNames] };

    public static NBomberContext WithTestSuite(this NBomberContext context, string testSuite) => context with { TestSuite = testSuite };

    public static NBomberContext WithTestName(this NBomberContext context, string testName) => context with { TestName = testName };

    /// <summary>Replaces the whole folder; default <c>./reports/SESSION</c>.</summary>
    public static NBomberContext WithReportFolder(this NBomberContext context, string reportFolderPath) => context with { ReportFolder = reportFolderPath };

    /// <summary>Without the extension.</summary>
    public static NBomberContext WithReportFileName(this NBomberContext context, string reportFileName) => context with { ReportFileName = reportFileName };

    /// <summary>Default: all four.</summary>
    public static NBomberContext WithReportFormats(this NBomberContext context, params ReportFormat[] reportFormats) => context with { ReportFormats = [.. reportFormats] };

    public static NBomberContext WithoutReports(this NBomberContext context) => context with { ReportFormats = [] };

    /// <summary>How often thresholds are looked at while it runs. Default and least 5 s.</summary>
    public static NBomberContext WithReportingInterval(this NBomberContext context, TimeSpan interval) => context with { ReportingInterval = interval };

    /// <summary>How long iterations that still run at the end are waited for. Default a minute.</summary>
    public static NBomberContext WithScenarioCompletionTimeout(this NBomberContext context, TimeSpan timeout) => context with { CompletionTimeout = timeout };

    /// <summary>
    /// Blocks until the session has ended. Failed requests and thresholds are in the answer and throw nothing; the exit code is the caller's to set:
    /// <c>result.Thresholds.Any(threshold => threshold.IsFailed)</c>.
    /// </summary>
    public static NodeStats Run(this NBomberContext context) => new Session(context, TimeProvider.System).RunAsync().GetAwaiter().GetResult();
}
