using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>How the agent program is called: what it is told, and how little it gets to know of our surroundings.</summary>
internal sealed class AgentProgram(IOptions<OverflowOptions> options)
{
    private static readonly TimeSpan KeyTimeout = TimeSpan.FromSeconds(30);

    // Agents run strangers' modules: of our own surroundings, which hold connection strings and tokens, they get only these.
    private static readonly string[] PassedOn = ["PATH", "HOME", "LANG", "TMPDIR", "DOCKER_HOST", "DOTNET_ROOT", "RENDERTRUST_ENVIRONMENT", "RENDERTRUST_FAILPOINTS"];
    private static readonly string[] PassedOnPrefixes = ["Agent__", "Logging__"];

    private string KeyFile => Path.Combine(options.Value.Folder, "pool.key");

    /// <summary>Lets the program make the pool's key unless it is there: the private half never comes here.</summary>
    public async Task<OverflowPoolKey> MakePoolKeyAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(options.Value.Command[0], [.. options.Value.Command.Skip(1), "pool-key", "--file", KeyFile])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Start(start);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(KeyTimeout);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return process.ExitCode == 0 && JsonSerializer.Deserialize<OverflowPoolKey>(await output, WireJson.Options) is { } key
                ? key
                : throw NoKey($"ended with {process.ExitCode}: {(await error).Trim()}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            process.Kill();
            throw NoKey($"did not end within {KeyTimeout.TotalSeconds} s");
        }
        catch (JsonException exception)
        {
            throw NoKey($"printed no key: {exception.Message}", exception);
        }
    }

    /// <summary>Starts an agent in a session of its own, so that what ends ours does not end it; its output goes to a file, since a pipe would tie its life to ours.</summary>
    public Process StartAgent(AgentFolder folder) => Start(
        new ProcessStartInfo("setsid", ["sh", "-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null", "sh", folder.Log, .. Arguments(folder)]));

    private List<string> Arguments(AgentFolder folder)
    {
        var given = options.Value;
        List<string> arguments =
        [
            .. given.Command, "overflow", "--state", folder.State, "--pool-key", KeyFile, "--gateway", given.GatewayUrl, "--token-file", folder.TokenFile,
            "--runner", given.Runner, "--slots", $"{given.Slots}", "--idle-seconds", $"{given.IdleSeconds}",
        ];
        if (given.HubUrl.Length > 0)
        {
            arguments.AddRange(["--hub", given.HubUrl]);
        }

        if (given.Gpu)
        {
            arguments.Add("--gpu");
        }

        return arguments;
    }

    private static Process Start(ProcessStartInfo start)
    {
        foreach (var name in start.Environment.Keys.ToList())
        {
            if (!PassedOn.Contains(name, StringComparer.Ordinal) && !PassedOnPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            {
                start.Environment.Remove(name);
            }
        }

        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new OverflowCapacityException($"'{start.FileName}' could not be started: {exception.Message}. Check Scheduler:Overflow:Command.", exception);
        }
    }

    private OverflowCapacityException NoKey(string why, Exception? inner = null) =>
        new($"'{options.Value.Command[0]} … pool-key' {why}. Check Scheduler:Overflow:Command and Folder.", inner);
}
