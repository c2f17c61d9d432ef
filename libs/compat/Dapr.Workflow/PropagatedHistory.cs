namespace Dapr.Workflow;

/// <summary>What a caller passed on of its history.</summary>
/// <param name="events">One entry per workflow, the oldest ancestor first.</param>
public sealed class PropagatedHistory(IReadOnlyList<PropagatedHistoryEvent> events)
{
    /// <summary>One entry per workflow, the oldest ancestor first.</summary>
    public IReadOnlyList<PropagatedHistoryEvent> Events { get; } = events ?? throw new ArgumentNullException(nameof(events));

    /// <summary>The apps that took part, each once, in order of first appearance.</summary>
    public IReadOnlyList<string> GetAppIds() => [.. Events.Select(entry => entry.AppId).Distinct(StringComparer.OrdinalIgnoreCase)];

    /// <summary>The entries of one instance.</summary>
    public IReadOnlyList<PropagatedHistoryEvent> GetByInstanceId(string instanceId) => [.. Events.Where(entry => entry.InstanceId == instanceId)];
}
