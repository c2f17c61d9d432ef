using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Conformance.Javascript;

/// <summary>Runs a Node program with Dapr's JavaScript SDK, in the version of the lock file beside the tests of workflows.</summary>
internal static class NodeProgram
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private static string Root => Environment.GetEnvironmentVariable("RENDERTRUST_ROOT") ?? RepositoryFolder.Root;

    private static string Package => Path.Combine(Root, "tests", "Workflow.Tests", "DaprJs");

    private static string Modules => Path.Combine(Package, "node_modules");

    /// <summary>Gives the last line that the program printed, which is JSON.</summary>
    public static async Task<JsonNode> RunAsync(string program, object argument)
    {
        if (!File.Exists(Path.Combine(Modules, "@dapr", "dapr", "package.json")))
        {
            await RunAsync(new ProcessStartInfo("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]) { WorkingDirectory = Package });
        }

        var start = new ProcessStartInfo("node", [Path.Combine(Root, "tests", "Sidecar.Conformance", "Javascript", program), JsonSerializer.Serialize(argument, JsonSerializerOptions.Web)]);
        start.Environment["NODE_PATH"] = Modules;
        var output = await RunAsync(start);
        return JsonNode.Parse(output.TrimEnd().Split('\n')[^1])!;
    }

    private static async Task<string> RunAsync(ProcessStartInfo start)
    {
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var output = new StringBuilder();
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        process.OutputDataReceived += (_, line) =>
        {
            lock (output)
            {
                output.AppendLine(line.Data);
            }
        };
        process.BeginOutputReadLine();
        using var late = new CancellationTokenSource(Limit);
        await process.WaitForExitAsync(late.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{start.FileName} was not done after {Limit}:\n{output}\n{await errors}");
        }

        Assert.True(process.ExitCode == 0, $"{start.FileName} ended with exit code {process.ExitCode}:\n{output}\n{await errors}");
        return output.ToString();
    }
}
