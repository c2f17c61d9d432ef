using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>
/// What a node's owner does, one call at a time: leases its slots and opens, closes and loses its sessions.
/// Keeps a cache of the slots, rebuilt from the table on first use and whenever a constraint says that it is wrong,
/// so a second owner of the same node costs a retry and never a double lease.
/// </summary>
internal sealed class NodeOwner(NodeId nodeId, LeaseSlot leases, NodeSessions sessions)
{
    // Each loss against the constraint rebuilds the cache; more losses in a row than this mean a busy second owner.
    private const int MostTries = 4;
    private NodeSlots? slots;

    public async Task<LeaseResponse> LeaseAsync(LeaseRequest request, CancellationToken cancellationToken)
    {
        for (var attempt = 1; attempt <= MostTries; attempt++)
        {
            slots ??= await leases.ReadSlotsAsync(nodeId, cancellationToken);
            if (slots.FirstFree() is not { } slot)
            {
                // Slots come free without telling the owner; the table knows.
                slots = await leases.ReadSlotsAsync(nodeId, cancellationToken);
                if (slots.FirstFree() is not { } freed)
                {
                    return new LeaseResponse(LeaseOutcome.NoFreeSlot, null, null, $"All {slots.Count} slots are reserved.");
                }

                slot = freed;
            }

            var response = await leases.TryAsync(request, slot, cancellationToken);
            if (response.Outcome == LeaseOutcome.Leased)
            {
                slots.Reserved.Add(slot);
                return response;
            }

            if (response.Outcome != LeaseOutcome.SlotTaken)
            {
                return response;
            }

            slots = null;
        }

        return new LeaseResponse(LeaseOutcome.NoFreeSlot, null, null, "Another owner leases this node's slots at the same time.");
    }

    public async Task<OpenNodeSessionResponse> OpenSessionAsync(OpenNodeSessionRequest request, CancellationToken cancellationToken)
    {
        slots = null;
        return await sessions.OpenAsync(request, cancellationToken);
    }

    public Task CloseSessionAsync(CloseNodeSessionRequest request, CancellationToken cancellationToken) => sessions.CloseAsync(request, cancellationToken);

    public Task MarkLostAsync(MarkNodeLostRequest request, CancellationToken cancellationToken) => sessions.MarkLostAsync(request, cancellationToken);
}
