namespace Dapr.Workflow.Worker.Replay;

/// <summary>
/// Which new paths an instance takes. A patch counts from the turn whose history entry names it, not before: code that the instance passed
/// earlier keeps the old path in every replay.
/// </summary>
internal sealed class Patches
{
    private readonly HashSet<string> recorded = new(StringComparer.Ordinal);
    private readonly List<string> taken = [];

    /// <summary>The patches taken so far, in the order of their first use.</summary>
    public IReadOnlyList<string> Taken => taken;

    /// <summary>The history names patches, or this turn takes some.</summary>
    public bool Any => recorded.Count > 0 || taken.Count > 0;

    public void Record(Wire.WorkflowStartedEvent entry) => recorded.UnionWith(entry.Version?.Patches ?? []);

    public bool IsTaken(string name, bool replaying)
    {
        if (replaying && !recorded.Contains(name))
        {
            return false;
        }

        if (!taken.Contains(name))
        {
            taken.Add(name);
        }

        return true;
    }
}
