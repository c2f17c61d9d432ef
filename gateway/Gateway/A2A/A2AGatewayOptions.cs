using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.A2A;

internal sealed class A2AGatewayOptions
{
    public const string Section = "Gateway:A2A";

    /// <summary>Most bytes of sealed parts inside one message, before base64. More is uploaded first.</summary>
    [Range(0, 16 * 1024 * 1024)]
    public int MaxInlineBytes { get; set; } = 1024 * 1024;

    /// <summary>Seconds that one look at the job log may wait for news.</summary>
    [Range(1, 60)]
    public int TailWaitSeconds { get; set; } = 20;

    /// <summary>Most events taken from the job log at once.</summary>
    [Range(1, 10_000)]
    public int TailPageEvents { get; set; } = 500;

    /// <summary>Seconds without any news from the job log after which open streams end with an error instead of waiting on.</summary>
    [Range(1, 600)]
    public int TailFailureSeconds { get; set; } = 30;

    /// <summary>Events that one stream may lag behind before it reads the task's log again instead.</summary>
    [Range(16, 100_000)]
    public int StreamBacklogEvents { get; set; } = 1024;

    /// <summary>Seconds of silence after which a stream reads its task's log, in case the tail lost its place without noticing.</summary>
    [Range(1, 3600)]
    public int StreamRecheckSeconds { get; set; } = 30;

    /// <summary>Most events of tasks that have ended, kept in memory to answer for them; one takes about a kilobyte.</summary>
    [Range(0, 10_000_000)]
    public int EndedTaskEvents { get; set; } = 50_000;

    /// <summary>Seconds for which the list of modules, and so the agent card, is reused.</summary>
    [Range(1, 3600)]
    public int CatalogCacheSeconds { get; set; } = 30;

    /// <summary>Milliseconds between hand-overs of measured times.</summary>
    [Range(10, 60_000)]
    public int TimingFlushMilliseconds { get; set; } = 100;
}
