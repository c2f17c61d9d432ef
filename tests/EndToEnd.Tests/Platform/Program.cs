using System.Diagnostics;
using System.Text.Json;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>What a program left behind when it ended.</summary>
internal sealed record ProgramResult(string Command, int ExitCode, string Output, string Error)
{
    /// <summary>Standard output as one JSON value: nothing else may stand there.</summary>
    public JsonElement Json => JsonElement.Parse(Output);

    public ProgramResult Succeeded() => ExitCode == 0 ? this : throw new InvalidOperationException(ToString());

    public override string ToString() => $"'{Command}' ended with {ExitCode}.\n--- output\n{Output}\n--- error\n{Error}";
}

/// <summary>Runs a program to its end, as a shell would.</summary>
internal static class Programs
{
    public static Task<ProgramResult> DotnetAsync(
        IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment, TimeSpan limit, CancellationToken cancellationToken, bool killsChildren = true) =>
        RunAsync("dotnet", arguments, Repository.Root, environment, limit, cancellationToken, killsChildren);

    public static async Task<ProgramResult> RunAsync(
        string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string>? environment, TimeSpan limit, CancellationToken cancellationToken,
        bool killsChildren = true)
    {
        // Files and not pipes: a detached child inherits them, and a pipe would be read for as long as that child lives.
        var capture = Directory.CreateTempSubdirectory("e2e-run-");
        var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = folder, RedirectStandardInput = true };
        foreach (var argument in (string[])["-c", "out=$1 err=$2; shift 2; exec \"$@\" >\"$out\" 2>\"$err\"", "sh", Path.Combine(capture.FullName, "out"), Path.Combine(capture.FullName, "err"), program, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        var command = $"{program} {string.Join(' ', arguments)}";
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(limit);
        try
        {
            await process.WaitForExitAsync(patience.Token);
            return new ProgramResult(command, process.ExitCode, Read(capture, "out"), Read(capture, "err"));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"'{command}' did not end within {limit.TotalSeconds} s.\n{Read(capture, "out")}\n{Read(capture, "err")}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: killsChildren);
            }

            capture.Delete(recursive: true);
        }
    }

    private static string Read(DirectoryInfo folder, string file) => File.Exists(Path.Combine(folder.FullName, file)) ? File.ReadAllText(Path.Combine(folder.FullName, file)) : "";
}
