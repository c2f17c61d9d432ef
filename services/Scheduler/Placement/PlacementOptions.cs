using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Scheduler.Placement;

/// <summary>Weights that choose among the nodes that no other node beats in everything. They are normalised to a sum of 1.</summary>
internal sealed class PlacementOptions
{
    public const string Section = "Scheduler:Placement";

    /// <value>Weight of the node's round trip. Default 0.5.</value>
    [Range(0, 1000)]
    public double LatencyWeight { get; set; } = 0.5;

    /// <value>Weight of the node's share of recent earnings: who earned less goes first. Default 0.3.</value>
    [Range(0, 1000)]
    public double EarningsWeight { get; set; } = 0.3;

    /// <value>Weight of what a minute on the node costs. Default 0.2.</value>
    [Range(0, 1000)]
    public double PriceWeight { get; set; } = 0.2;

    /// <value>How far back earnings count. Default 24 hours.</value>
    [Range(1, 8760)]
    public int EarningsWindowHours { get; set; } = 24;
}
