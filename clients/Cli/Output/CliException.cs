namespace RenderTrust.Cli.Output;

/// <summary>A failure that a person can act on: what failed, the value, what to do. Exit code 1, no stack trace.</summary>
internal sealed class CliException(string message, string? logPath = null, int exitCode = 1) : Exception(message)
{
    public static CliException NotInstalled(string program) => new($"{program} is not installed. Run ./rendertrust setup to install what is missing.");

    public string? LogPath { get; } = logPath;

    public int ExitCode { get; } = exitCode;
}
