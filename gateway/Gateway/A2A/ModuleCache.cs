using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>Modules as the catalog has them. A published version never changes, so it is kept; the list is kept for some seconds.</summary>
internal sealed partial class ModuleCache(AppInvoker apps, IOptions<A2AGatewayOptions> options, TimeProvider time, ILogger<ModuleCache> logger)
{
    private readonly ConcurrentDictionary<string, ModuleVersion> _versions = new(StringComparer.Ordinal);
    private volatile Listed? _listed;
    private int _publications;

    /// <param name="reference">name@version, already checked for form.</param>
    public async Task<ModuleVersion?> FindAsync(string reference, CancellationToken cancellationToken)
    {
        if (_versions.TryGetValue(reference, out var known))
        {
            return known;
        }

        var at = reference.IndexOf('@', StringComparison.Ordinal);
        var found = await apps.FindAsync<ModuleVersion>(Apps.Catalog, $"/internal/modules/{reference[..at]}/{reference[(at + 1)..]}", cancellationToken);
        if (found is not null)
        {
            _versions[reference] = found;
        }

        return found;
    }

    /// <summary>Newest version of each module. While the catalog is away the last known list serves on.</summary>
    public async Task<IReadOnlyList<ModuleVersion>> ListAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var publications = Volatile.Read(ref _publications);
        if (_listed is { } listed && listed.Until > now && listed.Publications == publications)
        {
            return listed.Modules;
        }

        try
        {
            var modules = (await apps.GetAsync<ModuleList>(Apps.Catalog, "/internal/modules", cancellationToken)).Modules;
            foreach (var module in modules)
            {
                _versions[module.Reference] = module;
            }

            _listed = new Listed([.. modules.OrderBy(module => module.Name, StringComparer.Ordinal)], now.AddSeconds(options.Value.CatalogCacheSeconds), publications);
        }
        catch (Exception exception) when (NeighbourFaults.IsOne(exception))
        {
            // A question that got no answer has no effect either, so this is never an unknown outcome.
            var stale = _listed ?? throw new AppUnavailableException("The catalog did not answer and no list of modules is known yet.", exception);
            LogStale(logger, exception.Message);
            return stale.Modules;
        }

        return _listed.Modules;
    }

    /// <summary>
    /// The next question goes to the catalog. The list that is there stays: it serves while the catalog is away. A list that was asked for
    /// before this and arrives after it does not count as new either, because it carries the number of publications known when it was asked for.
    /// </summary>
    public void Refresh() => Interlocked.Increment(ref _publications);

    [LoggerMessage(LogLevel.Warning, "The last known list of modules is used: {Cause}")]
    private static partial void LogStale(ILogger logger, string cause);

    private sealed record Listed(IReadOnlyList<ModuleVersion> Modules, DateTimeOffset Until, int Publications);
}
