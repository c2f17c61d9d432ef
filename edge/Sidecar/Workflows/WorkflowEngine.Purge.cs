using Grpc.Core;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Removal of instances that have ended.</summary>
internal sealed partial class WorkflowEngine
{
    /// <summary>One instance, and with it all its descendants when <paramref name="recursive"/>. Forced, it need not have ended.</summary>
    /// <returns>How many instances are gone.</returns>
    public async Task<int> PurgeAsync(string appId, string instanceId, bool recursive, bool force, CancellationToken cancellationToken)
    {
        var address = Address(appId, instanceId);
        var (found, gone) = await store.PurgeAsync(address, recursive, force, cancellationToken);
        if (found == 0)
        {
            throw WorkflowError.Unknown(address);
        }

        if (gone.Count == 0)
        {
            throw new WorkflowError(StatusCode.Unknown, $"workflow '{instanceId}' of app {appId}{(recursive ? " or a child of it" : "")}: orchestration has not yet completed");
        }

        Drop(gone);
        return gone.Count;
    }

    /// <summary>All instances of the app that have ended and fit the filter.</summary>
    public async Task<int> PurgeAsync(string appId, PurgeInstanceFilter filter, bool recursive, CancellationToken cancellationToken)
    {
        var gone = await store.PurgeAsync(appId, Wire.Moment(filter.CreatedTimeFrom), Wire.Moment(filter.CreatedTimeTo),
            [.. filter.RuntimeStatus.Select(status => (short)status)], recursive, cancellationToken);
        Drop(gone);
        return gone.Count;
    }

    private void Drop(IReadOnlyCollection<Guid> gone)
    {
        lock (gate)
        {
            foreach (var instance in gone.Select(byKey.GetValueOrDefault).OfType<LiveInstance>())
            {
                Unload(instance);
            }
        }
    }
}
