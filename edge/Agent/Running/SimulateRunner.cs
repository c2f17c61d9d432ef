using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RenderTrust.Agent.Images;

namespace RenderTrust.Agent.Running;

/// <summary>
/// Fake work for tests and load: no module runs, the output depends only on the unit's own document. It calls itself
/// <c>simulate</c> in the node's capabilities, so nobody can take its results for real ones.
/// A parameter <c>simulate</c>, of the unit or else of the job, chooses the course:
/// <c>{"behaviour": "succeed|fail|hang|outOfMemory|outputTooLarge", "milliseconds": 0, "onNodes": "node-", "elsewhere": "succeed"}</c>.
/// With <c>onNodes</c> the behaviour is that of nodes whose name begins so, and <c>elsewhere</c> that of the others.
/// </summary>
internal sealed class SimulateRunner(TimeProvider time, TimeSpan workPerUnit, string nodeName) : IUnitRunner
{
    public RunnerCapabilities Capabilities { get; } = new(
        "simulate", "simulated: no module runs, outputs are fake", EngineRootless: true, LimitsEnforced: false);

    public Task PrepareAsync(ModuleImage image, CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task<UnitRunResult> RunAsync(UnitRun run, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var document = await File.ReadAllBytesAsync(run.UnitFile, cancellationToken);
        var log = new ModuleLog(run.Progress);
        var (behaviour, work) = ReadCourse(document);
        log.Append("progress 0.5\n"u8);

        using var wall = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        wall.CancelAfter(run.Limits.Wall);
        var exit = UnitExit.Succeeded;
        try
        {
            await Task.Delay(behaviour == "hang" ? Timeout.InfiniteTimeSpan : work, time, wall.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            exit = UnitExit.TimedOut;
        }

        exit = behaviour switch
        {
            "fail" => UnitExit.ModuleFailed,
            "outOfMemory" => UnitExit.OutOfMemory,
            "outputTooLarge" => UnitExit.OutputTooLarge,
            _ => exit,
        };
        if (exit == UnitExit.Succeeded)
        {
            await WriteOutputAsync(run, document, cancellationToken);
        }

        log.Append("progress 1\nsimulated work done\n"u8);
        var exitCode = exit == UnitExit.Succeeded ? 0 : 3;
        return new UnitRunResult(exit, exitCode, (long)time.GetElapsedTime(started).TotalMilliseconds, Explanations.For(exit, exitCode, run.Limits), log);
    }

    public Task<int> RemoveOrphansAsync(CancellationToken cancellationToken) => Task.FromResult(0);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private (string Behaviour, TimeSpan Work) ReadCourse(byte[] document)
    {
        using var unit = JsonDocument.Parse(document);
        if ((Course(unit.RootElement, "unitParameters") ?? Course(unit.RootElement, "parameters")) is not { } course)
        {
            return ("succeed", workPerUnit);
        }

        var here = !course.TryGetProperty("onNodes", out var nodes) || nodeName.StartsWith(nodes.GetString() ?? "", StringComparison.Ordinal);
        return (
            course.TryGetProperty(here ? "behaviour" : "elsewhere", out var behaviour) ? behaviour.GetString() ?? "succeed" : "succeed",
            course.TryGetProperty("milliseconds", out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds.GetInt32()) : workPerUnit);
    }

    private static JsonElement? Course(JsonElement unit, string of) =>
        unit.TryGetProperty(of, out var parameters) && parameters.ValueKind == JsonValueKind.Object
            && parameters.TryGetProperty("simulate", out var course) && course.ValueKind == JsonValueKind.Object ? course : null;

    private static async Task WriteOutputAsync(UnitRun run, byte[] document, CancellationToken cancellationToken)
    {
        using var unit = JsonDocument.Parse(document);
        var index = unit.RootElement.GetProperty("unitIndex").GetInt32();
        var text = new StringBuilder("simulated output\n");
        for (var line = 0; line < 64; line++)
        {
            text.AppendLine(Convert.ToHexStringLower(SHA256.HashData([.. document, (byte)line])));
        }

        await File.WriteAllTextAsync(Path.Combine(run.Output.Path, string.Create(CultureInfo.InvariantCulture, $"unit_{index:D4}.txt")), text.ToString(), cancellationToken);
    }
}
