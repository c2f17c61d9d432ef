using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Dashboard.Live;

/// <summary>A tenant's nodes as the scheduler knows them, asked for at most every few seconds however many streams look.</summary>
internal sealed class FleetFacts(AppInvoker apps, IOptions<DashboardOptions> options, TimeProvider time)
{
    private const int MaxTenants = 1_000;

    private readonly ConcurrentDictionary<TenantId, (Task<NodeList> Nodes, long AskedAt)> _known = new();

    public Task<NodeList> ReadAsync(TenantId tenant)
    {
        // A little less than the streams' own pause: else every second look would find the old answer.
        var believedFor = TimeSpan.FromSeconds(options.Value.FleetSeconds * 0.9);
        if (_known.TryGetValue(tenant, out var known) && !known.Nodes.IsFaulted && time.GetElapsedTime(known.AskedAt) < believedFor)
        {
            return known.Nodes;
        }

        if (_known.Count >= MaxTenants)
        {
            _known.Clear();
        }

        // Not a caller's token: the answer is for all who look.
        var asked = apps.GetAsync<NodeList>(Apps.Scheduler, $"/internal/nodes?tenantId={tenant}", CancellationToken.None);
        _known[tenant] = (asked, time.GetTimestamp());
        return asked;
    }
}
