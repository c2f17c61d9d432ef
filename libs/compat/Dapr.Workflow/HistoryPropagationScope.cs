namespace Dapr.Workflow;

/// <summary>How much of the caller's history an activity or child is shown.</summary>
public enum HistoryPropagationScope
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The caller's own.</summary>
    OwnHistory,

    /// <summary>The caller's own and what the caller was shown.</summary>
    Lineage,
}
