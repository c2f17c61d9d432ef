using System.Text.Json;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli;

/// <summary>What every command shares: where the clone is, and how to speak to a person or to a program.</summary>
internal sealed class CliContext(string repositoryRoot)
{
    private static readonly JsonSerializerOptions Pretty = new(WireJson.Options) { WriteIndented = true };

    public string RepositoryRoot { get; } = repositoryRoot;

    /// <summary>Progress and tables go to the error stream when the answer itself is JSON.</summary>
    public IAnsiConsole Console { get; private set; } = AnsiConsole.Console;

    /// <summary>The platform of <c>up</c>; RENDERTRUST_INSTANCE names another one beside it, as tests do.</summary>
    public PlatformPaths Platform => new(RepositoryRoot, Environment.GetEnvironmentVariable("RENDERTRUST_INSTANCE") is { Length: > 0 } instance ? instance : "platform");

    public void QuietForJson() => Console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(System.Console.Error) });

    public static void WriteJson<T>(T value) => System.Console.Out.WriteLine(JsonSerializer.Serialize(value, Pretty));

    public static string ToJson<T>(T value) => JsonSerializer.Serialize(value, Pretty);

    public int Report(CliException exception)
    {
        Console.MarkupLineInterpolated($"[red]✗[/] {exception.Message}");
        if (exception.LogPath is not null)
        {
            Console.MarkupLineInterpolated($"  [grey]log:[/] {exception.LogPath}");
        }

        return exception.ExitCode;
    }
}
