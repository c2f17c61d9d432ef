using System.CommandLine;
using System.Globalization;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Cli.Platform.Brokers;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary><c>broker swap</c>: another broker under a running platform.</summary>
internal static class BrokerCommand
{
    public static Command Create(CliContext context) => new("broker", "The broker behind the services.") { Swap(context) };

    private static Command Swap(CliContext context)
    {
        var variant = new Argument<string>("variant") { Description = "redis or rabbitmq." };
        var drainSeconds = new Option<int>("--drain-seconds") { Description = "How long the old broker may take to hand over what it has.", DefaultValueFactory = _ => 60 };
        var postgres = new Option<string?>("--postgres") { Description = "As 'up' was given it." };
        var json = new Option<bool>("--json") { Description = "Answer as JSON on standard output." };
        var command = new Command("swap", "Move the running platform to another broker, while jobs run and without losing a fact.") { variant, drainSeconds, postgres, json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(json))
            {
                context.QuietForJson();
            }

            var broker = parsed.GetRequiredValue(variant);
            BrokerChoice.Check("The variant", broker);
            var seconds = parsed.GetValue(drainSeconds);
            if (seconds is < 1 or > 3600)
            {
                throw new CliException($"--drain-seconds is {seconds}. Give 1 to 3600.", exitCode: 2);
            }

            RequireRunning(context, broker);
            using var turn = await PlatformTurn.TakeAsync(context.Platform, cancellationToken);
            var platform = await OpenAsync(context, broker, parsed.GetValue(postgres), cancellationToken);
            BrokerSwap? swap = null;
            await context.Console.Status().StartAsync("Starting", async status =>
                swap = await new SwapBroker(platform, TimeSpan.FromSeconds(seconds), text => status.Status(text)).RunAsync(broker, cancellationToken));
            if (parsed.GetValue(json))
            {
                CliContext.WriteJson(swap);
                return 0;
            }

            Show(context, swap!);
            return 0;
        });
        return command;
    }

    private static void Show(CliContext context, BrokerSwap swap)
    {
        context.Console.MarkupLineInterpolated($"Moved from {swap.From} to [bold]{swap.To}[/].");
        context.Console.MarkupLineInterpolated(
            $"{swap.From}: {swap.UndeliveredBefore} events undelivered at first, none after {Seconds(swap.DrainMilliseconds)} s, {swap.UndeliveredAfter} when the services had stopped.");
        context.Console.MarkupLineInterpolated(
            $"Facts: {swap.FactsHeldBack} waited in the database for up to {Seconds(swap.HeldBackMilliseconds)} s; {swap.FactsHeldBack - swap.FactsWaiting} of them have left over {swap.To}, {swap.FactsWaiting} still wait.");
        context.Console.MarkupLineInterpolated(
            $"Jobs: {swap.JobsOpen} were open; {swap.JobsEnded} of them have ended since, {swap.JobsOpen - swap.JobsEnded - swap.JobsLost} go on, {swap.JobsLost} lost.");
    }

    private static string Seconds(long milliseconds) => (milliseconds / 1000.0).ToString("0.0", CultureInfo.InvariantCulture);

    private static PlatformState RequireRunning(CliContext context, string broker)
    {
        var state = PlatformState.Read(context.Platform)
            ?? throw new CliException($"No platform runs here. Start one on the broker you want: ./rendertrust up --components {broker}.");

        // Daprd's services are no children of one host, and are refused below.
        return state.Sidecar != SidecarChoice.Embedded || state.Processes.Any(process => process is { Name: "sidecar", IsRunning: true })
            ? state
            : throw new CliException("The services of this platform do not run: it crashed, or a change of broker was ended on its way. ./rendertrust up completes it; repeat this command then.");
    }

    private static async Task<LocalPlatform> OpenAsync(CliContext context, string broker, string? postgres, CancellationToken cancellationToken)
    {
        // Again, since whoever had the turn before us may have changed it.
        var state = RequireRunning(context, broker);
        if (state.Sidecar != SidecarChoice.Embedded)
        {
            throw new CliException($"The sidecars of this platform are {state.Sidecar}. docs/guides/swapping-the-broker.md has the steps for them.");
        }

        if ((state.Components ?? BrokerChoice.Default) == broker)
        {
            var left = BrokerChoice.ProgramsOfOthers(broker).Where(name => state.Processes.Any(process => process.Name == name && process.IsRunning)).ToList();
            throw new CliException(
                $"The platform runs on {broker} already.{(left.Count > 0 ? $" An earlier change was ended on its way and has left {string.Join(" and ", left)}: ./rendertrust up completes it." : "")}", exitCode: 2);
        }

        if (state.ExternalPostgres is not null && postgres is null)
        {
            throw new CliException("The platform was started with --postgres. Give the same connection string here: facts are held back in that database.", exitCode: 2);
        }

        return await LocalPlatform.OpenAsync(context.Platform, new PlatformOptions("auto", [], "auto", postgres, "Development"), cancellationToken);
    }
}
