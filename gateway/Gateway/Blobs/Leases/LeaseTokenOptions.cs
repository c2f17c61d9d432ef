using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.Blobs;

/// <summary>The keys behind lease-bound blob tokens.</summary>
internal sealed class LeaseTokenOptions
{
    public const string Section = "Gateway:LeaseTokens";

    /// <summary>A new key is made after this. Default 24 h.</summary>
    [Range(0.01, 8760)]
    public double RotationHours { get; set; } = 24;

    /// <summary>A key that signs no more is kept this much longer, so that tokens outlive its retirement. Default 72 h; no lease lasts longer.</summary>
    [Range(0.01, 8760)]
    public double KeepHours { get; set; } = 72;

    /// <summary>How often keys that other replicas made are read. A new key signs only after three of these. Default 20 s.</summary>
    [Range(0.1, 3600)]
    public double RefreshSeconds { get; set; } = 20;
}
