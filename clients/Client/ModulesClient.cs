using System.Collections.Concurrent;
using RenderTrust.Client.Http;
using RenderTrust.Contracts;

namespace RenderTrust.Client;

/// <summary>Job types: publish and look up.</summary>
public sealed class ModulesClient
{
    private readonly HttpClient _http;
    private readonly ConcurrentDictionary<string, ModuleVersion> _known = new(StringComparer.Ordinal);

    internal ModulesClient(HttpClient http) => _http = http;

    /// <summary>Publishes a version. Repeating it with the same content is harmless; versions never change.</summary>
    public Task<ModuleVersion> PublishAsync(PublishModuleRequest request, CancellationToken cancellationToken) =>
        _http.PostAsync<ModuleVersion>("/v1/modules", request, cancellationToken);

    public Task<ModuleList> ListAsync(CancellationToken cancellationToken) => _http.GetAsync<ModuleList>("/v1/modules", cancellationToken);

    /// <param name="reference">Name and version, <c>povray@1.0.0</c>.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<ModuleVersion> GetAsync(string reference, CancellationToken cancellationToken)
    {
        if (_known.TryGetValue(reference, out var known))
        {
            return known;
        }

        if (reference.Split('@') is not [{ Length: > 0 } name, { Length: > 0 } version])
        {
            throw new RenderTrustException(
                RenderTrustError.InvalidDraft, $"'{reference}' is no module reference. Write name@version, for example povray@1.0.0.");
        }

        var module = await _http.GetAsync<ModuleVersion>(
            $"/v1/modules/{Uri.EscapeDataString(name)}/{Uri.EscapeDataString(version)}", cancellationToken);
        // A version is immutable, so it can be kept for good.
        return _known.GetOrAdd(reference, module);
    }
}
