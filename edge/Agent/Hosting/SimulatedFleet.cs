using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Enrollment;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Hosting;

/// <param name="TokensFolder">One file <c>NAME.token</c> a node; a node that is enrolled already needs only the file's name.</param>
/// <param name="StateFolder">Gets a state folder for each node.</param>
/// <param name="WorkMilliseconds">Pretended work of a unit.</param>
internal sealed record FleetCommand(Uri Gateway, string TokensFolder, string StateFolder, string? HubUrl, int Slots, int WorkMilliseconds);

/// <summary>
/// Many nodes in one process: each has its identity, its stream to the hub, its outbox and its scratch, as a node of its own has; only the work is
/// simulated. Hundreds of agents as processes would measure the machine's memory and not the platform.
/// </summary>
internal sealed partial class SimulatedFleet(FleetCommand command, TimeProvider time, ILoggerFactory loggers)
{
    // Enrolling makes keys and asks the gateway; more at once would only queue there.
    private const int EnrolledAtOnce = 4;

    // Sessions that all open in the same instant time out together on a small machine.
    private static readonly TimeSpan BetweenStarts = TimeSpan.FromMilliseconds(20);

    private readonly ILogger _logger = loggers.CreateLogger<SimulatedFleet>();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (!Directory.Exists(command.TokensFolder) || Directory.GetFiles(command.TokensFolder, "*.token") is not { Length: > 0 } files)
        {
            throw new EnrolmentException($"There is no token file NAME.token in '{command.TokensFolder}'. The nodes' owner makes tokens with: rendertrust node token");
        }

        Array.Sort(files, StringComparer.Ordinal);
        await Parallel.ForEachAsync(
            files, new ParallelOptions { MaxDegreeOfParallelism = EnrolledAtOnce, CancellationToken = cancellationToken }, async (file, stop) => await EnrolAsync(file, stop));
        LogEnrolled(files.Length);

        var nodes = new List<Task>();
        foreach (var file in files)
        {
            nodes.Add(RunNodeAsync(file, cancellationToken));
            await Task.Delay(BetweenStarts, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(nodes);
    }

    private async Task EnrolAsync(string file, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(FolderOf(file), Modes.Private);
        await EnrolNode.RunAsync(new EnrolCommand(command.Gateway, file, FolderOf(file), Path.GetFileNameWithoutExtension(file), CaFingerprint: null), cancellationToken);
    }

    private Task RunNodeAsync(string file, CancellationToken cancellationToken)
    {
        var options = new AgentOptions
        {
            StateFolder = FolderOf(file),
            HubUrl = command.HubUrl ?? "",
            Runner = "simulate",
            Slots = command.Slots,
            SimulatedMilliseconds = command.WorkMilliseconds,
        };
        return new NodeHost(Options.Create(options), new NodeEnvironment(Development: false, DockerHost: null), time, loggers).RunAsync(enrolFirst: null, cancellationToken);
    }

    private string FolderOf(string file) => Path.Combine(command.StateFolder, Path.GetFileNameWithoutExtension(file));

    [LoggerMessage(LogLevel.Information, "{Count} simulated nodes are enrolled")]
    private partial void LogEnrolled(int count);
}
