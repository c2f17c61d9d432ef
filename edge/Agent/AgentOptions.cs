using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Agent;

/// <summary>How one node runs. Section <c>Agent</c> of the configuration; the command line sets the common ones.</summary>
internal sealed class AgentOptions
{
    public const string Section = "Agent";

    /// <summary>Folder of identity, outbox, images and a private engine.</summary>
    [Required]
    public string StateFolder { get; set; } = "";

    /// <summary>Address of the hub; empty takes the one from the enrolment.</summary>
    public string HubUrl { get; set; } = "";

    /// <summary><c>auto</c>, <c>docker</c>, <c>bubblewrap</c>, <c>process</c> or <c>simulate</c>.</summary>
    [RegularExpression("^(auto|docker|bubblewrap|process|simulate)$")]
    public string Runner { get; set; } = "auto";

    /// <summary>Lets <c>auto</c> end at a plain process, in Development only.</summary>
    public bool AllowPlainProcess { get; set; }

    /// <summary>HOST[:PORT] of the registries that modules may be fetched from, none unless set; in Development those of this machine as well.</summary>
    public IList<string> Registries { get; } = [];

    /// <summary>Units that run at the same time; 0 takes one per CPU, at most 8.</summary>
    [Range(0, 1024)]
    public int Slots { get; set; }

    /// <summary>The node offers a GPU.</summary>
    public bool Gpu { get; set; }

    /// <summary>A memory-backed folder for opened assets and outputs.</summary>
    [Required]
    public string ScratchFolder { get; set; } = "/dev/shm";

    /// <summary>Most bytes of opened assets and outputs at a time; 0 takes a quarter of the memory.</summary>
    [Range(0, long.MaxValue)]
    public long ScratchBytes { get; set; }

    /// <summary>Time between heartbeats unless the hub asks for another.</summary>
    [Range(1, 60)]
    public int HeartbeatSeconds { get; set; } = 5;

    /// <summary>Longest wait between two attempts to reach the hub; the first waits are much shorter.</summary>
    [Range(1, 300)]
    public int ReconnectMaxSeconds { get; set; } = 15;

    /// <summary>Opened assets of a job are kept this long after its last unit, so that its next unit need not fetch them again.</summary>
    [Range(1, 86_400)]
    public int JobCacheIdleSeconds { get; set; } = 60;

    /// <summary>A result that the hub did not acknowledge is sent again after this time.</summary>
    [Range(1, 600)]
    public int ResultResendSeconds { get; set; } = 20;

    /// <summary>Fetching a blob is tried again for this long before the unit fails. Uploads wait in the outbox instead.</summary>
    [Range(1, 3600)]
    public int BlobRetrySeconds { get; set; } = 60;

    /// <summary>A node that was started on demand ends by itself after this time with nothing to do; 0 goes on for ever.</summary>
    [Range(0, 86_400)]
    public int IdleSeconds { get; set; }

    /// <summary>A node that ends when idle gives up with an error if the hub has not taken it by then.</summary>
    [Range(1, 3600)]
    public int FirstSessionSeconds { get; set; } = 60;

    /// <summary>Pretended work per unit of the simulate runner.</summary>
    [Range(0, 3_600_000)]
    public int SimulatedMilliseconds { get; set; } = 50;

    public int EffectiveSlots => Slots > 0 ? Slots : Math.Clamp(Environment.ProcessorCount, 1, 8);

    public long EffectiveScratchBytes => ScratchBytes > 0 ? ScratchBytes : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
}
