using System.Text;
using System.Text.Json;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>How a job is meant to end when nothing is lost.</summary>
internal enum MeantEnd
{
    Completed,

    /// <summary>Its module fails on every node, and succeeds on the platform's own agents.</summary>
    CompletedByOverflow,

    /// <summary>Its module fails wherever it runs.</summary>
    FailedByModule,

    /// <summary>Its deadline passes while it runs.</summary>
    FailedByDeadline,

    /// <summary>Its creator cancels; it may be quicker.</summary>
    CanceledOrCompleted,
}

/// <summary>What one job of the campaign asks for.</summary>
internal sealed record JobCourse(int Units, int UnitMilliseconds, MeantEnd End)
{
    private const int MaxUnitDeviceSeconds = 30;
    private const int ShortestDeadlineSeconds = 10;

    /// <summary>Mostly short jobs that complete; some long enough to be caught in the act, and a few of each way to end early.</summary>
    public static JobCourse Draw(Random random) => random.Next(100) switch
    {
        < 74 => new(random.Next(1, 4), random.Next(20, 400), MeantEnd.Completed),
        < 84 => new(random.Next(1, 3), random.Next(1500, 3000), MeantEnd.Completed),
        < 91 => new(2, 4000, MeantEnd.CanceledOrCompleted),
        < 94 => new(1, 50, MeantEnd.FailedByModule),
        < 97 => new(1, 100, MeantEnd.CompletedByOverflow),
        _ => new(2, 25_000, MeantEnd.FailedByDeadline),
    };

    /// <summary>The shortest that still ends that way, and runs long enough to be met at it.</summary>
    public static JobCourse Meant(MeantEnd end) => end switch
    {
        MeantEnd.FailedByModule => new(1, 50, end),
        MeantEnd.CompletedByOverflow => new(1, 100, end),
        MeantEnd.FailedByDeadline => new(2, 25_000, end),
        _ => new(2, 4000, end),
    };

    public JobDraft ToDraft(ModuleVersion module) => new()
    {
        Module = module.Reference,
        Parameters = JsonSerializer.SerializeToElement(new
        {
            simulate = new
            {
                behaviour = End is MeantEnd.FailedByModule or MeantEnd.CompletedByOverflow ? "fail" : "succeed",
                onNodes = End == MeantEnd.CompletedByOverflow ? "node-" : "",
                milliseconds = UnitMilliseconds,
            },
        }),
        Units = [.. Enumerable.Range(0, Units).Select(unit => JsonSerializer.SerializeToElement(new { frame = unit }))],
        Assets = [new DraftAsset("", [AssetSource.FromBytes("scene.txt", Encoding.UTF8.GetBytes($"{Units} units of {UnitMilliseconds} ms"))])],
        MaxUnitDeviceSeconds = MaxUnitDeviceSeconds,
        AllowOverflow = End == MeantEnd.CompletedByOverflow,
        CapMicrocredits = Pricing.WorstCase(Units, MaxUnitDeviceSeconds, module.RatePerMinuteMicrocredits),
        DeadlineSeconds = End == MeantEnd.FailedByDeadline ? ShortestDeadlineSeconds : 3600,
    };
}
