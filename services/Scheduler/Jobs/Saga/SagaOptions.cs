using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>When sagas start, hear again and are forgotten.</summary>
internal sealed class SagaOptions
{
    public const string Section = "Scheduler:Saga";

    /// <value>How long after its submission a job's saga is started, unless it has something to hear before. Default 5.</value>
    [Range(0, 3600)]
    public double StartDelaySeconds { get; set; } = 5;

    /// <value>How long a signal may stay without effect before it is handed over again. Default 60.</value>
    [Range(0.1, 86_400)]
    public double RedeliverSeconds { get; set; } = 60;

    /// <value>How long the history of a finished saga is kept. Default one hour; the evidence stays for good.</value>
    [Range(0, 31_536_000)]
    public double RetentionSeconds { get; set; } = 3600;
}
