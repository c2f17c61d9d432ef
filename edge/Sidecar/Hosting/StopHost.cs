using System.Globalization;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Hosting;

/// <summary><c>stop</c>: asks the host of one app, or of a run file, to end, and waits until it has.</summary>
internal static class StopHost
{
    /// <summary>A host lets calls finish (5 s) and its apps end (10 s).</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(IReadOnlyList<string> args, TimeProvider time)
    {
        string? appId;
        string? runFile;
        try
        {
            var flags = Flags.Read(args, ["app-id", "run-file"], []);
            (appId, runFile) = (flags.Text("app-id"), flags.Text("run-file") is { } file ? Path.GetFullPath(file) : null);
            if ((appId is null) == (runFile is null))
            {
                throw new UsageException("stop: name one of --app-id ID and -f dapr.yaml");
            }
        }
        catch (UsageException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 2;
        }

        var found = Running().Where(host => appId is not null ? host.AppId == appId : host.RunFile == runFile).ToList();
        if (found.Count == 0)
        {
            await Console.Error.WriteLineAsync($"stop: no host of {appId ?? runFile} runs here that this user may see; 'pgrep -af RenderTrust.Sidecar' lists those that do");
            return 1;
        }

        var code = 0;
        foreach (var host in found)
        {
            Signals.SendAlone(host.ProcessId, Signals.Terminate);
            var started = time.GetTimestamp();
            while (IsRunning(host.ProcessId) && time.GetElapsedTime(started) < Limit)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), time);
            }

            var ended = !IsRunning(host.ProcessId);
            code = ended ? code : 1;
            await Console.Out.WriteLineAsync(ended
                ? $"stopped {appId ?? runFile} (process {host.ProcessId})"
                : $"process {host.ProcessId} of {appId ?? runFile} has not ended after {Limit.TotalSeconds:0} s; 'kill -9 {host.ProcessId}' ends it and its apps");
        }

        return code;
    }

    private static IEnumerable<(int ProcessId, string? AppId, string? RunFile)> Running()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || pid == Environment.ProcessId)
            {
                continue;
            }

            if (ReadOptions(folder) is { } options)
            {
                yield return options.App is { } app
                    ? (pid, app.AppId, null)
                    : (pid, null, Path.GetFullPath(options.RunFile, new FileInfo(Path.Combine(folder, "cwd")).LinkTarget ?? "/"));
            }
        }
    }

    private static SidecarOptions? ReadOptions(string processFolder)
    {
        try
        {
            var line = File.ReadAllText(Path.Combine(processFolder, "cmdline")).TrimEnd('\0').Split('\0');
            var program = Array.FindIndex(line, word => Path.GetFileNameWithoutExtension(word) == "RenderTrust.Sidecar" || Path.GetFileName(word) == "RenderTrust.Sidecar");

            // In the first or second place, after "dotnet": a shell that only mentions us is not a host.
            return program is 0 or 1 ? SidecarArguments.Parse(line[(program + 1)..], out _) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended meanwhile, or belongs to somebody else.
            return null;
        }
    }

    private static bool IsRunning(int pid)
    {
        try
        {
            // A zombie that its parent has not waited for has ended, too.
            return !File.ReadAllText($"/proc/{pid}/stat").Split(')')[^1].TrimStart().StartsWith('Z');
        }
        catch (IOException)
        {
            return false;
        }
    }
}
