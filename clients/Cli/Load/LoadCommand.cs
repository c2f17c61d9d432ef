using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Load;

/// <summary><c>load</c>: submit-to-settle at a fixed rate on a platform of its own.</summary>
internal static class LoadCommand
{
    public static Command Create(CliContext context)
    {
        var rate = new Option<int>("--rate") { Description = "Jobs a second.", DefaultValueFactory = _ => 20 };
        var nodes = new Option<int>("--nodes") { Description = "Simulated edge nodes.", DefaultValueFactory = _ => 50 };
        var slots = new Option<int>("--slots") { Description = "Units that one node runs at the same time.", DefaultValueFactory = _ => 2 };
        var seconds = new Option<int>("--seconds") { Description = "How long.", DefaultValueFactory = _ => 30 };
        var warmUp = new Option<int>("--warm-up") { Description = "Seconds of the same load before, counted nowhere.", DefaultValueFactory = _ => 10 };
        var recipients = new Option<int>("--recipients") { Description = "Nodes that each job is sealed for, taken in turn.", DefaultValueFactory = _ => 16 };
        var units = new Option<int>("--units") { Description = "Units a job.", DefaultValueFactory = _ => 1 };
        var output = new Option<string>("--out") { Description = "Folder for the reports.", DefaultValueFactory = _ => Path.Combine(context.RepositoryRoot, "out", "load") };
        var command = new Command("load", "Jobs at a fixed rate through a platform of its own with simulated nodes; HTML and Markdown reports. Exit code 1 when a threshold did not hold.")
        {
            rate, nodes, slots, seconds, warmUp, recipients, units, output,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            // Before the platform is started: a wrong number should not cost a minute.
            foreach (var (option, least, most) in new[] { (rate, 1, 1000), (nodes, 1, LocalFleet.MostSimulatedNodes), (slots, 1, 64), (seconds, 1, 3600), (warmUp, 0, 3600), (recipients, 1, 1000), (units, 1, 100) })
            {
                if (parsed.GetValue(option) is var given && (given < least || given > most))
                {
                    throw new CliException($"{option.Name} is {given}. Load takes {least} to {most}.", exitCode: 2);
                }
            }

            await using var platform = await PrivatePlatform.StartAsync(
                context, "load", parsed.GetValue(nodes), parsed.GetValue(slots), text => Console.Error.WriteLine(text), cancellationToken);
            var result = await LoadProgram.RunJobsAsync(
                context, platform,
                new JobLoadSettings(
                    parsed.GetValue(rate), parsed.GetValue(seconds), Math.Min(parsed.GetValue(warmUp), parsed.GetValue(seconds)), parsed.GetValue(recipients), parsed.GetValue(units), Path.GetFullPath(parsed.GetValue(output)!)),
                Console.Out, cancellationToken);
            return result.Ok ? 0 : 1;
        });
        return command;
    }
}
