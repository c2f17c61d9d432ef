using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>
/// Agents of the platform's own, started when units wait in the overflow lane. The same settings on every replica; one of them at a time starts agents.
/// </summary>
internal sealed class OverflowOptions : IValidatableObject
{
    public const string Section = "Scheduler:Overflow";

    /// <value>Publishes the pool's key, so that creators may opt in, and starts agents. Default off: what was published before is withdrawn.</value>
    public bool Enabled { get; set; }

    /// <value>The agent program and its first arguments, such as <c>dotnet</c> and the path of <c>RenderTrust.Agent.dll</c>.</value>
    public IList<string> Command { get; } = [];

    /// <value>Folder (made with mode 0700) of the pool's key, the agents' state and their logs. Back up <c>pool.key</c> in it: without it no overflow agent opens what was sealed to it.</value>
    public string Folder { get; set; } = "";

    /// <value>Where agents enrol. Default: the single box.</value>
    [Url]
    public string GatewayUrl { get; set; } = "http://127.0.0.1:8080";

    /// <value>Where agents connect; empty takes what their enrolment says.</value>
    public string HubUrl { get; set; } = "";

    /// <value>The agents' runner, as their <c>--runner</c>. Default <c>auto</c>.</value>
    [RegularExpression("^(auto|docker|bubblewrap|process|simulate)$")]
    public string Runner { get; set; } = "auto";

    /// <value>The agents offer this machine's GPU and take GPU units only. Default false.</value>
    public bool Gpu { get; set; }

    /// <value>Most agents at a time. Default 2.</value>
    [Range(1, 64)]
    public int MostAgents { get; set; } = 2;

    /// <value>Units that one agent runs at the same time. Default 2.</value>
    [Range(1, 1024)]
    public int Slots { get; set; } = 2;

    /// <value>An agent ends by itself after this time with nothing to do. Default 60.</value>
    [Range(1, 86_400)]
    public int IdleSeconds { get; set; } = 60;

    /// <value>Pause after a start that failed; doubled with every further one. Default 2.</value>
    [Range(0.01, 3600)]
    public double StartPauseSeconds { get; set; } = 2;

    /// <value>The longest such pause. Default 300.</value>
    [Range(0.01, 86_400)]
    public double StartPauseMaxSeconds { get; set; } = 300;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Enabled && Command.Count == 0)
        {
            yield return new ValidationResult("Scheduler:Overflow:Command is empty. Name the agent program, for example Scheduler__Overflow__Command__0=/usr/bin/rendertrust-agent, or set Enabled to false.");
        }

        if (Enabled && Folder.Length == 0)
        {
            yield return new ValidationResult("Scheduler:Overflow:Folder is empty. Name a folder that only this service can read, for example /var/lib/rendertrust/overflow, or set Enabled to false.");
        }
    }
}
