using System.ComponentModel.DataAnnotations;
using RenderTrust.Contracts;

namespace RenderTrust.Catalog;

internal sealed class ModuleOptions
{
    public const string Section = "Modules";

    /// <summary>What a CPU node earns, and so the least that a CPU module may cost. Default 40 000 µcr per minute.</summary>
    [Range(0, 1_000_000_000_000)]
    public long CpuNodeRatePerMinuteMicrocredits { get; set; } = 40_000;

    /// <summary>What a GPU node earns, and so the least that a GPU module may cost. Default 400 000 µcr per minute.</summary>
    [Range(0, 1_000_000_000_000)]
    public long GpuNodeRatePerMinuteMicrocredits { get; set; } = 400_000;

    /// <summary>The most that a module may cost. Default 10^10 µcr (10 000 credits) per minute: a day of 100 000 units still fits a 64-bit amount.</summary>
    [Range(1, 10_000_000_000)]
    public long MaxRatePerMinuteMicrocredits { get; set; } = 10_000_000_000;

    public long NodeRate(DeviceKind kind) => kind == DeviceKind.Gpu ? GpuNodeRatePerMinuteMicrocredits : CpuNodeRatePerMinuteMicrocredits;
}
