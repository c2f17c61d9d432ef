namespace RenderTrust.Cli.Output;

/// <summary>A failure that a person can act on: what failed, the value, what to do. Exit code 1, no stack trace.</summary>
internal sealed class CliException(string message, string? logPath = null, int exitCode = 1) : Exception(message)
{
    public string? LogPath { get; } = logPath;

    public int ExitCode { get; } = exitCode;
}
