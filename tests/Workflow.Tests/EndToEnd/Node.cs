using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>The Node programs of DaprJs, with Dapr's JavaScript SDK as its lock file names it.</summary>
internal sealed class Node : IAsyncDisposable
{
    private static readonly SemaphoreSlim Installing = new(1);

    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly StringBuilder errors = new();

    private Node(Process process) => this.process = process;

    private static string Folder => Path.Combine(Environment.GetEnvironmentVariable("RENDERTRUST_ROOT")!, "tests", "Workflow.Tests", "DaprJs");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public string Said
    {
        get
        {
            lock (output)
            {
                return $"{output}\n{errors}";
            }
        }
    }

    /// <summary>Starts a program that runs until it is disposed of.</summary>
    public static async Task<Node> StartAsync(string program, object argument)
    {
        await InstallAsync();
        return Start("node", [program, JsonSerializer.Serialize(argument, JsonSerializerOptions.Web)]);
    }

    /// <summary>Runs a program to its end and gives the last line that it printed, which is JSON.</summary>
    public static async Task<JsonElement> RunAsync(string program, object argument)
    {
        await using var node = await StartAsync(program, argument);
        await node.EndAsync(TimeSpan.FromMinutes(2));
        lock (node.output)
        {
            return JsonDocument.Parse(node.output.ToString().TrimEnd().Split('\n')[^1]).RootElement;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            // The end of its input ends the program.
            process.StandardInput.Close();
            using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            await process.WaitForExitAsync(soon.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            process.Kill(entireProcessTree: true);
        }

        process.Dispose();
    }

    private static async Task InstallAsync()
    {
        await Installing.WaitAsync(Token);
        try
        {
            if (!File.Exists(Path.Combine(Folder, "node_modules", "@dapr", "dapr", "package.json")))
            {
                await using var npm = Start("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
                await npm.EndAsync(TimeSpan.FromMinutes(4));
            }
        }
        finally
        {
            Installing.Release();
        }
    }

    private static Node Start(string program, string[] arguments)
    {
        var node = new Node(Process.Start(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!);
        node.process.OutputDataReceived += (_, line) => node.Keep(node.output, line.Data);
        node.process.ErrorDataReceived += (_, line) => node.Keep(node.errors, line.Data);
        node.process.BeginOutputReadLine();
        node.process.BeginErrorReadLine();
        return node;
    }

    private async Task EndAsync(TimeSpan limit)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(Token);
        late.CancelAfter(limit);
        await process.WaitForExitAsync(late.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Assert.True(process.HasExited, $"Not done after {limit}:\n{Said}");
        Assert.True(process.ExitCode == 0, $"Exit code {process.ExitCode}:\n{Said}");
    }

    private void Keep(StringBuilder into, string? line)
    {
        lock (output)
        {
            into.AppendLine(line);
        }
    }
}
