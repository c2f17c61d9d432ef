using System.Reflection;
using Dapr.Workflow;

namespace RenderTrust.Workflow.Tests;

/// <summary>Which Dapr.Workflow is under test: ours, or the official package (-p:OfficialPackages=true).</summary>
internal static class Implementation
{
    public const string Name = "Dapr.Workflow";

    private static readonly Assembly Main = typeof(DaprWorkflowClient).Assembly;

    public static bool IsOurs => Main.GetType("Dapr.Workflow.Worker.Replay.WorkflowTurn") is not null;

    /// <summary>The official package spreads its types over several assemblies.</summary>
    public static IReadOnlyList<Assembly> Assemblies { get; } =
        [Main, .. Main.GetReferencedAssemblies().Where(name => name.Name!.StartsWith(Name, StringComparison.Ordinal)).Select(Assembly.Load)];
}
