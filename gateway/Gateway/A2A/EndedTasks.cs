using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>Logs of tasks that have ended, kept while somebody asks for them. A task that has ended never changes, so such a log is right on every replica.</summary>
internal sealed class EndedTasks(IOptions<A2AGatewayOptions> options) : IDisposable
{
    private static readonly TimeSpan KeptAfterLastUse = TimeSpan.FromMinutes(2);

    private readonly MemoryCache _logs = new(new MemoryCacheOptions { SizeLimit = options.Value.EndedTaskEvents });

    /// <summary>Null: not kept, or not this tenant's. The two cannot be told apart.</summary>
    public TaskLog? Find(TaskId taskId, TenantId tenant) => _logs.Get<TaskLog>((taskId, tenant));

    public void Keep(TaskLog log, TenantId tenant) =>
        _logs.Set((log.TaskId, tenant), log, new MemoryCacheEntryOptions { Size = log.Events.Count, SlidingExpiration = KeptAfterLastUse });

    public void Dispose() => _logs.Dispose();
}
