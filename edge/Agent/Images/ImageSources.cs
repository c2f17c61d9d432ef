using System.Net;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Images;

/// <summary>What a registry or an engine said when it gave no image: for this node's log, not for the platform.</summary>
internal sealed class ImageSourceException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// Where this node fetches images from. A module says where its image lies, and whoever publishes one must not be able to make
/// nodes knock at addresses of their own networks.
/// </summary>
/// <param name="registries">HOST[:PORT] of each registry, compared as written.</param>
/// <param name="development">Adds the registries and the files of this machine itself.</param>
internal sealed class ImageSources(IEnumerable<string> registries, bool development)
{
    private readonly HashSet<string> _registries = new(registries, StringComparer.OrdinalIgnoreCase);

    /// <summary>Refuses an image whose registry is not one of this node's, before anything is asked there.</summary>
    public void Require(ModuleImage image)
    {
        var registry = image.Repository[..image.Repository.IndexOf('/', StringComparison.Ordinal)];
        if (!Allows(registry))
        {
            throw new UnitFailedException(FailureClass.Internal,
                $"This node takes no images from registry '{registry}'. Publish the module from a registry that nodes use, or have the node's owner add it to Agent:Registries.");
        }
    }

    public bool Allows(RootfsTarball tarball) =>
        IsRemote(tarball)
            ? Uri.TryCreate(tarball.Url, UriKind.Absolute, out var uri) && Allows(uri.Authority)
            : development && Native.StatusOf(tarball.Url) is { IsRegularFile: true };

    public static bool IsRemote(RootfsTarball tarball) => tarball.Url.StartsWith("https://", StringComparison.Ordinal);

    /// <summary>Plain HTTP is for registries on this machine only; the digest protects the content.</summary>
    public static bool IsLoopback(string registry)
    {
        var name = registry.Split(':')[0];
        return name == "localhost" || (IPAddress.TryParse(name, out var address) && IPAddress.IsLoopback(address));
    }

    private bool Allows(string registry) => _registries.Contains(registry) || (development && IsLoopback(registry));
}
