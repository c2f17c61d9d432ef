using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform.Daprd;

/// <summary>Dapr's own programs, where somebody has installed them.</summary>
internal sealed record DaprdPrograms(string Daprd, string Placement, string Scheduler)
{
    /// <summary>The version that the services are made for, and the first whose flags the plan uses.</summary>
    public static readonly Version Needed = new(1, 18);

    private const string Remedy =
        "Install Dapr 1.18 ('dapr init --slim --runtime-version 1.18.2' puts daprd, placement and scheduler into ~/.dapr/bin) and add that folder to the PATH, or leave --sidecar away for the embedded sidecar.";

    /// <summary>As they are called when nothing is to be started.</summary>
    public static readonly DaprdPrograms ByName = new("daprd", "placement", "scheduler");

    /// <param name="searchPath">Folders, as PATH has them.</param>
    /// <param name="cancellationToken">Stops asking for the version.</param>
    public static async Task<DaprdPrograms> FindAsync(string searchPath, CancellationToken cancellationToken)
    {
        string Find(string program) => searchPath.Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists)
            ?? throw new CliException($"--sidecar daprd needs {program} of Dapr 1.18, which is not on the PATH. {Remedy}", exitCode: 2);
        var found = new DaprdPrograms(Find("daprd"), Find("placement"), Find("scheduler"));
        var said = (await Shell.RunAsync([found.Daprd, "--version"], cancellationToken)).Trim();
        return Version.TryParse(said.TrimStart('v').Split('-', '+', '\n')[0], out var version) && version >= Needed
            ? found
            : throw new CliException($"{found.Daprd} says it is version '{said}', and the services need 1.18 or newer. {Remedy}", exitCode: 2);
    }
}
