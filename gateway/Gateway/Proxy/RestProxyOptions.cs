using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.Proxy;

internal sealed class RestProxyOptions
{
    public const string Section = "Gateway:Rest";

    /// <summary>Largest body of a REST request in bytes. Larger things are uploaded as blobs.</summary>
    [Range(1024, 16 * 1024 * 1024)]
    public long MaxRequestBytes { get; set; } = 1024 * 1024;

    /// <summary>Seconds that a service may take to answer.</summary>
    [Range(1, 300)]
    public int TimeoutSeconds { get; set; } = 30;
}
