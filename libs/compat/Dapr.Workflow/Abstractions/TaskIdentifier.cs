namespace Dapr.Workflow.Abstractions;

/// <summary>The name under which a workflow or activity is registered.</summary>
public readonly record struct TaskIdentifier(string Name)
{
    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
