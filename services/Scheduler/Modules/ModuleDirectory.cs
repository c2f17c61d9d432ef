using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Modules;

/// <summary>Versions of the catalog. They never change once published, so what was found is kept for good; what was not found is asked again.</summary>
internal sealed class ModuleDirectory(AppInvoker apps)
{
    // A bound, not a tuning knob: references come from callers.
    private const int MostKept = 10_000;
    private readonly ConcurrentDictionary<string, ModuleVersion> known = new(StringComparer.Ordinal);

    public bool TryGetCached(string reference, [NotNullWhen(true)] out ModuleVersion? module) => known.TryGetValue(reference, out module);

    /// <returns>Null when the catalog has no such version.</returns>
    public async Task<ModuleVersion?> FindAsync(string reference, CancellationToken cancellationToken)
    {
        var at = reference.IndexOf('@', StringComparison.Ordinal);
        if (at <= 0 || at == reference.Length - 1)
        {
            return null;
        }

        var path = $"/internal/modules/{Uri.EscapeDataString(reference[..at])}/{Uri.EscapeDataString(reference[(at + 1)..])}";
        var module = await apps.FindAsync<ModuleVersion>(Apps.Catalog, path, cancellationToken);
        if (module is not null)
        {
            if (known.Count >= MostKept)
            {
                known.Clear();
            }

            known[reference] = module;
        }

        return module;
    }
}
