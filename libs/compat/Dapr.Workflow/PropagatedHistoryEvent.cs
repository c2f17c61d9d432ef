namespace Dapr.Workflow;

/// <summary>One workflow in a passed-on history.</summary>
public sealed class PropagatedHistoryEvent
{
    internal PropagatedHistoryEvent(string instanceId, string appId, string name) => (InstanceId, AppId, Name) = (instanceId, appId, name);

    /// <summary>The workflow's instance id.</summary>
    public string InstanceId { get; }

    /// <summary>The app that ran it.</summary>
    public string AppId { get; }

    /// <summary>The workflow's name.</summary>
    public string Name { get; }
}
