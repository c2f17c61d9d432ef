using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.Hub;

/// <summary>The listener that edge nodes connect to, and how their streams are kept.</summary>
internal sealed class HubOptions
{
    public const string Section = "Gateway:Hub";

    /// <value>Port of the mutual-TLS listener; 0 takes a free one.</value>
    [Range(0, 65_535)]
    public int Port { get; set; } = 8444;

    /// <value>Address to listen on.</value>
    [Required]
    public string ListenAddress { get; set; } = "127.0.0.1";

    /// <value>Names that the server certificate is made for.</value>
    [MinLength(1)]
    public IList<string> DnsNames { get; set; } = ["localhost", "127.0.0.1"];

    /// <value>Folder (mode 0700) for the server key, its certificate and the platform CA.</value>
    [Required]
    public string KeyDirectory { get; set; } = "keys/hub";

    /// <value>App id under which the scheduler reaches this replica.</value>
    [Required]
    public string AppId { get; set; } = Contracts.Apps.Gateway;

    /// <value>How often nodes report.</value>
    [Range(0.1, 60)]
    public double HeartbeatSeconds { get; set; } = 5;

    /// <value>Silence after which a stream is closed; the scheduler decides by itself when the node is lost.</value>
    [Range(1, 600)]
    public double SilenceSeconds { get; set; } = 20;

    /// <value>How long an offer, or a revocation, waits for the node's answer.</value>
    [Range(0.1, 60)]
    public double AcknowledgeSeconds { get; set; } = 5;

    /// <value>Frames that may wait for one node before its stream is closed as too slow.</value>
    [Range(8, 100_000)]
    public int OutgoingFrames { get; set; } = 256;
}
