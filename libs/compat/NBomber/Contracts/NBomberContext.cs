using System.Collections.Immutable;
using NBomber.Contracts.Stats;

namespace NBomber.Contracts;

/// <summary>A session's description; made by <see cref="NBomber.CSharp.NBomberRunner"/>.</summary>
public sealed record NBomberContext
{
    internal NBomberContext()
    {
    }

    internal ImmutableArray<ScenarioProps> Scenarios { get; init; } = [];

    /// <summary>Empty runs all.</summary>
    internal ImmutableArray<string> Targets { get; init; } = [];

    internal string TestSuite { get; init; } = "nbomber_default_test_suite_name";

    internal string TestName { get; init; } = "nbomber_default_test_name";

    internal string? ReportFolder { get; init; }

    internal string? ReportFileName { get; init; }

    internal ImmutableArray<ReportFormat> ReportFormats { get; init; } = [ReportFormat.Txt, ReportFormat.Html, ReportFormat.Csv, ReportFormat.Md];

    internal TimeSpan ReportingInterval { get; init; } = TimeSpan.FromSeconds(5);

    internal TimeSpan CompletionTimeout { get; init; } = TimeSpan.FromMinutes(1);
}
