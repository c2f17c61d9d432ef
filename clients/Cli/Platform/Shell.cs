using System.Diagnostics;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>Runs a helper program to its end.</summary>
internal static class Shell
{
    public static async Task<string> RunAsync(IReadOnlyList<string> command, CancellationToken cancellationToken, string? logPath = null, string? workingDirectory = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(command[0]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = workingDirectory ?? "/" };
        foreach (var argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[key] = value;
        }

        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new CliException($"{command[0]} could not be started: {exception.Message}. Run ./rendertrust setup to install what is missing.", logPath);
        }

        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            if (logPath is not null)
            {
                await File.AppendAllTextAsync(logPath, await output + await error, cancellationToken);
            }

            if (process.ExitCode != 0)
            {
                var tail = string.Join('\n', (await output + await error).Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(6));
                throw new CliException($"'{string.Join(' ', command.Take(3))}…' ended with exit code {process.ExitCode}:\n{tail}", logPath);
            }

            return await output;
        }
    }

    public static void OpenInBrowser(Uri link)
    {
        var opener = Find("xdg-open") ?? throw new CliException("There is no xdg-open here to start a browser with. Open the link by hand.");
        using var process = Process.Start(new ProcessStartInfo(opener, [link.ToString()]) { RedirectStandardOutput = true, RedirectStandardError = true });
    }

    /// <summary>Path of a program, looked for where Debian puts it even when sbin is not on the PATH.</summary>
    public static string? Find(string program)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]);
        return folders.Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
    }
}
