using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Bench;

/// <summary><c>bench</c>: figures beside their peers and targets, on a platform of its own.</summary>
internal static class BenchCommand
{
    private const int Nodes = 50;
    private const int Slots = 2;

    // A figure without a target says so: every figure has the same members.
    private static readonly JsonSerializerOptions Json = new(WireJson.Options) { WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.Never };

    private static readonly string[] Known = [.. JobBenchmark.Names, "hold", "placement", "workflow", "invoke", "stateGet", "actor", "a2aGetTask", "seal"];

    public static Command Create(CliContext context)
    {
        var names = new Argument<string[]>("name") { Description = $"Which: {string.Join(", ", Known)}. None: all.", Arity = ArgumentArity.ZeroOrMore };
        var json = new Option<string?>("--json") { Description = "File for the figures." };
        var command = new Command("bench", "Measure the platform on a private copy of it. Exit code 1 when a target was missed.") { names, json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var wanted = parsed.GetValue(names) is { Length: > 0 } some ? some.Distinct().ToArray() : Known;
            if (wanted.FirstOrDefault(name => !Known.Contains(name)) is { } unknown)
            {
                throw new CliException($"There is no benchmark '{unknown}'. There are: {string.Join(", ", Known)}.", exitCode: 2);
            }

            var file = OutputFiles.Prepare("--json", parsed.GetValue(json));
            var figures = await RunAsync(context, wanted, cancellationToken);
            if (file is not null)
            {
                await File.WriteAllTextAsync(file, JsonSerializer.Serialize(figures, Json) + "\n", cancellationToken);
            }

            Show(figures);
            return figures.All(figure => figure.Ok) ? 0 : 1;
        });
        return command;
    }

    private static async Task<IReadOnlyList<BenchFigure>> RunAsync(CliContext context, string[] wanted, CancellationToken cancellationToken)
    {
        var ofJobs = wanted.Intersect(JobBenchmark.Names).ToList();
        var nodes = ofJobs.Count > 0 ? Nodes : wanted.Contains("a2aGetTask") ? 1 : 0;
        await using var platform = await PrivatePlatform.StartAsync(context, "bench", nodes, Slots, Tell, cancellationToken);
        var figures = new List<BenchFigure>();
        (string Name, Func<Task<IReadOnlyList<BenchFigure>>> RunAsync)[] others =
        [
            ("hold", () => HoldBenchmark.RunAsync(platform, cancellationToken)),
            ("placement", () => PlacementBenchmark.RunAsync(context, platform, cancellationToken)),
            ("workflow", () => WorkflowBenchmark.RunAsync(context, platform, cancellationToken)),
            ("invoke", () => InvokeBenchmark.RunAsync(platform, cancellationToken)),
            ("stateGet", () => StateGetBenchmark.RunAsync(platform, cancellationToken)),
            ("actor", () => ActorBenchmark.RunAsync(platform, cancellationToken)),
            ("a2aGetTask", () => GetTaskBenchmark.RunAsync(context, platform, cancellationToken)),
            ("seal", () => SealBenchmark.RunAsync(cancellationToken)),
        ];
        foreach (var benchmark in others.Where(benchmark => wanted.Contains(benchmark.Name)))
        {
            Tell(benchmark.Name);
            figures.AddRange(await benchmark.RunAsync());
        }

        if (ofJobs.Count > 0)
        {
            Tell(string.Join(", ", ofJobs));
            figures.AddRange(await JobBenchmark.RunAsync(context, platform, ofJobs, cancellationToken));
        }

        return figures;
    }

    /// <summary>Progress goes to the error stream, so that the table can be piped.</summary>
    private static void Tell(string text) => Console.Error.WriteLine($"[load {File.ReadAllText("/proc/loadavg").Split(' ')[0]}] {text}");

    private static void Show(IReadOnlyList<BenchFigure> figures)
    {
        var table = new Table().RoundedBorder().AddColumns("name", "value", "unit", "peer", "peer's value", "ratio", "target", "");
        foreach (var figure in figures)
        {
            table.AddRow(
                figure.Name, Number(figure.Value), figure.Unit, Markup.Escape(figure.Peer), Number(figure.PeerValue), Number(figure.Ratio), figure.Target is { } target ? Number(target) : "",
                figure.Target is null ? "" : figure.Ok ? "[green]ok[/]" : "[red]missed[/]");
        }

        AnsiConsole.Write(table);
    }

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
