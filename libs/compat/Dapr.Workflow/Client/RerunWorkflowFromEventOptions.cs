namespace Dapr.Workflow.Client;

/// <summary>How a finished instance is run again from the middle.</summary>
public sealed class RerunWorkflowFromEventOptions
{
    /// <summary>The new instance's id, unused so far; null: a random one.</summary>
    public string? NewInstanceId { get; set; }

    /// <summary>Another input for the activity or child at that point. Needs <see cref="OverwriteInput"/>.</summary>
    public object? Input { get; set; }

    /// <summary>Whether <see cref="Input"/> takes the place of the recorded input.</summary>
    public bool OverwriteInput { get; set; }
}
