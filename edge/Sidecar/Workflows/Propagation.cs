using Google.Protobuf;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>History that a workflow hands to its activities and children, unsigned, where the call asks for it.</summary>
internal static class Propagation
{
    public static PropagatedHistory? Build(InstanceRecord record, IEnumerable<HistoryEvent> events, HistoryPropagationScope scope)
    {
        if (scope is not (HistoryPropagationScope.OwnHistory or HistoryPropagationScope.Lineage))
        {
            return null;
        }

        var history = new PropagatedHistory { Scope = scope };
        if (scope == HistoryPropagationScope.Lineage && record.Propagated is { } inherited)
        {
            history.Chunks.Add(PropagatedHistory.Parser.ParseFrom(inherited).Chunks);
        }

        history.Chunks.Add(new PropagatedHistoryChunk
        {
            AppId = record.Address.AppId,
            InstanceId = record.Address.InstanceId,
            WorkflowName = record.Started.Name,
            RawEvents = { events.Select(happened => happened.ToByteString()) },
        });
        return history;
    }
}
