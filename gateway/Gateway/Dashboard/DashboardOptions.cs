using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.Dashboard;

internal sealed class DashboardOptions
{
    public const string Section = "Gateway:Dashboard";

    /// <summary>Folder of the built pages (index.html and assets). Default: <c>dashboard</c> beside the program, where publishing puts it.</summary>
    public string Directory { get; set; } = Path.Combine(AppContext.BaseDirectory, "dashboard");

    /// <summary>Live streams that one signed-in browser may have open, so tabs that look at something.</summary>
    [Range(1, 100)]
    public int MaxStreamsPerSession { get; set; } = 8;

    /// <summary>Seconds between signs of life on a stream; the session is checked again with each.</summary>
    [Range(1, 120)]
    public double HeartbeatSeconds { get; set; } = 15;

    /// <summary>Milliseconds for which news gather before they are sent.</summary>
    [Range(0, 5_000)]
    public int GatherMilliseconds { get; set; } = 100;

    /// <summary>Events that a replica remembers for streams that come back. One that was away for longer begins anew.</summary>
    [Range(100, 1_000_000)]
    public int RememberedEvents { get; set; } = 20_000;

    /// <summary>Seconds between looks at a tenant's nodes while somebody watches them.</summary>
    [Range(0.1, 60)]
    public double FleetSeconds { get; set; } = 2;
}
