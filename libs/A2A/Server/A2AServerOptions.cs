using System.ComponentModel.DataAnnotations;

namespace RenderTrust.A2A;

public sealed class A2AServerOptions
{
    public const string Section = "A2A";

    /// <summary>Largest request body in bytes. The default leaves room for 1 MiB of inline bytes in base64.</summary>
    [Range(1024, 64 * 1024 * 1024)]
    public long MaxRequestBytes { get; set; } = 2 * 1024 * 1024;

    /// <summary>Seconds of silence after which a stream carries a comment, so that proxies keep it open.</summary>
    [Range(1, 300)]
    public int PingSeconds { get; set; } = 15;

    /// <summary>Extension URIs that this agent understands.</summary>
    public IList<string> SupportedExtensions { get; } = [];

    /// <summary>Extension URIs without which a call is refused; each is also in <see cref="SupportedExtensions"/>.</summary>
    public IList<string> RequiredExtensions { get; } = [];

    /// <summary>Says what a fault of the agent means to the caller; null leaves it an internal error without details.</summary>
    public Func<Exception, A2AError?> ExplainFault { get; set; } = static _ => null;
}
