using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary><c>up</c>, <c>down</c>, <c>status</c>: a whole platform on this machine.</summary>
internal static class PlatformCommands
{
    /// <summary>More simulated nodes than this share one process.</summary>
    private const int MostSimulatedProcesses = 8;
    private const int MostSlots = 64;
    private static readonly string[] Runners = ["auto", "docker", "bubblewrap", "process", "simulate"];

    private static readonly Option<string> Ports = new("--ports") { Description = "'fixed' takes the default ports, 'auto' free ones.", DefaultValueFactory = _ => "fixed" };
    private static readonly Option<string[]> Port = new("--port") { Description = "Moves one port: NAME=NUMBER, for example gateway=9090. May be repeated.", AllowMultipleArgumentsPerToken = false };
    private static readonly Option<string> Sidecar = new("--sidecar") { Description = "embedded (as auto is), or daprd: Dapr 1.18's own daprd, placement and scheduler from the PATH.", DefaultValueFactory = _ => "auto" };
    private static readonly Option<string?> Postgres = new("--postgres") { Description = "Connection string of a superuser; without it a private cluster is made." };
    private static readonly Option<int> Nodes = new("--nodes") { Description = "Edge nodes to start on this machine.", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> Slots = new("--slots") { Description = "Units that one node runs at the same time.", DefaultValueFactory = _ => 2 };
    private static readonly Option<string> Runner = new("--runner") { Description = "auto, docker, bubblewrap, process (Development only) or simulate.", DefaultValueFactory = _ => "auto" };
    private static readonly Option<int> Overflow = new("--overflow")
    {
        Description = "Most overflow agents: started while units wait that failed on two nodes and whose creators opted in. 0 keeps overflow off.",
        DefaultValueFactory = _ => 0,
    };
    private static readonly Option<string?> Components = ComponentsOption();
    private static readonly Option<bool> Detach = new("--detach") { Description = "Return when everything is ready; 'down' stops it." };
    private static readonly Option<bool> Print = new("--print") { Description = "Print the commands that would start the services and their sidecars; start nothing." };
    private static readonly Option<bool> Json = new("--json") { Description = "Answer as JSON on standard output." };

    public static Option<string?> ComponentsOption() => new("--components")
    {
        Description = "The broker behind the services: redis or rabbitmq. Without it the one of the last start, else redis.",
    };

    public static Command Up(CliContext context)
    {
        var command = new Command("up", "Start the platform on this machine and keep it running.") { Ports, Port, Sidecar, Postgres, Nodes, Slots, Runner, Overflow, Components, Detach, Print, Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(Json))
            {
                context.QuietForJson();
            }

            var (nodes, overflow) = (parsed.GetValue(Nodes), parsed.GetValue(Overflow));
            var most = parsed.GetValue(Runner) == "simulate" ? LocalFleet.MostSimulatedNodes : 64;
            if (nodes < 0 || nodes > most)
            {
                throw new CliException($"--nodes is {nodes}. One machine takes 0 to {most} with --runner {parsed.GetValue(Runner)}.", exitCode: 2);
            }

            CheckRunner(parsed.GetValue(Runner)!);
            if (parsed.GetValue(Slots) is < 1 or > MostSlots)
            {
                throw new CliException($"--slots is {parsed.GetValue(Slots)}. A node runs 1 to {MostSlots} units at the same time.", exitCode: 2);
            }

            if (overflow is < 0 or > 64)
            {
                throw new CliException($"--overflow is {overflow}. One machine takes 0 (off) to 64 agents.", exitCode: 2);
            }

            CheckPostgres(parsed.GetValue(Postgres));
            var options = new PlatformOptions(
                parsed.GetValue(Ports)!, parsed.GetValue(Port) ?? [], parsed.GetValue(Sidecar)!, parsed.GetValue(Postgres), "Development",
                Overflow: overflow > 0 ? new LocalOverflow(overflow, parsed.GetValue(Slots), parsed.GetValue(Runner)!) : null, Components: parsed.GetValue(Components), OnlyPrint: parsed.GetValue(Print));
            if (options.OnlyPrint)
            {
                foreach (var line in (await LocalPlatform.OpenAsync(context.Platform, options, cancellationToken)).PrintServices())
                {
                    await Console.Out.WriteLineAsync(line);
                }

                return 0;
            }

            LocalPlatform platform;

            // A start that is refused leaves no folder behind, so the first one takes its turn only when it is known to be possible.
            var turn = Directory.Exists(context.Platform.Root) ? await PlatformTurn.TakeAsync(context.Platform, cancellationToken) : null;
            try
            {
                platform = await LocalPlatform.OpenAsync(context.Platform, options, cancellationToken);
                if (turn is null)
                {
                    context.Platform.CreateFolders();
                    turn = await PlatformTurn.TakeAsync(context.Platform, cancellationToken);
                }

                await context.Console.Status().StartAsync("Starting", async status =>
                {
                    await StartAsync(platform, nodes, parsed.GetValue(Slots), parsed.GetValue(Runner)!, text => status.Status(text), cancellationToken);
                });
            }
            finally
            {
                turn?.Dispose();
            }

            var report = StatusReport.Read(context.Platform)!;
            Show(context, report, parsed.GetValue(Json));
            if (parsed.GetValue(Detach))
            {
                context.Console.MarkupLine("Running in the background. [grey]./rendertrust down[/] stops it.");
                return 0;
            }

            context.Console.MarkupLine("Press [bold]Ctrl+C[/] to stop.");
            await KeepRunningAsync(context, platform, options, nodes, parsed.GetValue(Slots), parsed.GetValue(Runner)!, cancellationToken);

            // Not the command's token: it has just been cancelled, and stopping is what it asked for.
            await StopAsync(context, CancellationToken.None);
            context.Console.MarkupLine("Stopped.");
            return 0;
        });
        return command;
    }

    public static Command Down(CliContext context)
    {
        var command = new Command("down", "Stop the platform that 'up' started. Data stays; --delete-data removes it.") { DeleteData };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (PlatformState.Read(context.Platform) is null)
            {
                context.Console.MarkupLine("Nothing is running.");
            }
            else
            {
                await context.Console.Status().StartAsync("Stopping", _ => StopAsync(context, cancellationToken));
                context.Console.MarkupLine("Stopped.");
            }

            if (parsed.GetValue(DeleteData) && Directory.Exists(context.Platform.Root))
            {
                Directory.Delete(context.Platform.Root, recursive: true);
                context.Console.MarkupLineInterpolated($"Deleted {context.Platform.Root}.");
            }

            return 0;
        });
        return command;
    }

    public static Command Status(CliContext context)
    {
        var command = new Command("status", "What runs, on which addresses, how well, and where its logs are.") { Json };
        command.SetAction(parsed =>
        {
            var report = StatusReport.Read(context.Platform) ?? new StatusReport(false, "none", new Dictionary<string, string>(), [], new Dictionary<string, string>());
            Show(context, report, parsed.GetValue(Json));
            return report.Ok ? 0 : 1;
        });
        return command;
    }

    private static readonly Option<bool> DeleteData = new("--delete-data") { Description = "Also delete the database, blobs and keys of this platform." };

    /// <summary>Stops what runs now, whichever command started it.</summary>
    private static async Task StopAsync(CliContext context, CancellationToken cancellationToken)
    {
        using var turn = await PlatformTurn.TakeAsync(context.Platform, cancellationToken);
        if (PlatformState.Read(context.Platform) is { } state)
        {
            await LocalPlatform.StopAsync(context.Platform, state.Processes, new PostgresCluster(context.Platform, state.Ports["postgres"], state.ExternalPostgres), cancellationToken);
        }
    }

    /// <summary>Before anything is started: a node would refuse it a minute later.</summary>
    internal static void CheckRunner(string runner)
    {
        if (!Runners.Contains(runner))
        {
            throw new CliException($"--runner is '{runner}'. Use one of: {string.Join(", ", Runners)}.", exitCode: 2);
        }
    }

    // Without its value: there is a password in it.
    private static void CheckPostgres(string? connectionString)
    {
        try
        {
            _ = new Npgsql.NpgsqlConnectionStringBuilder(connectionString);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            throw new CliException($"--postgres is no connection string ({exception.Message.TrimEnd('.')}). Write for example Host=127.0.0.1;Port=5432;Username=postgres;Password=...", exitCode: 2);
        }
    }

    internal static async Task StartAsync(LocalPlatform platform, int nodes, int slots, string runner, Action<string> progress, CancellationToken cancellationToken)
    {
        progress($"Starting Postgres, {platform.Broker.Name} and the module registry");
        await platform.StartStoresAsync(cancellationToken);
        progress("Starting the services behind their sidecars");
        await platform.StartServicesAsync(cancellationToken);
        var fleet = new LocalFleet(platform);
        progress("Publishing the povray module");
        await fleet.PublishPovrayAsync(cancellationToken);
        var inOneProcess = runner == "simulate" && nodes > MostSimulatedProcesses;
        if (inOneProcess)
        {
            progress($"Enrolling and starting {nodes} simulated nodes in one process");
            await fleet.StartSimulatedAsync(nodes, slots, cancellationToken);
        }

        for (var index = 1; index <= nodes && !inOneProcess; index++)
        {
            progress($"Enrolling and starting node {index} of {nodes}");
            await fleet.StartNodeAsync(index, runner, slots, allowPlainProcess: runner == "process", cancellationToken);
        }

        await fleet.WaitForNodesAsync(nodes, cancellationToken);
        if (platform.HasOverflow)
        {
            progress("Publishing the overflow pool's key");
            await OverflowProcesses.WaitForPoolAsync(platform, fleet.StudioProfile, cancellationToken);
        }
    }

    /// <summary>Looks every second and starts again what has died, until Ctrl+C or until another command has stopped the platform.</summary>
    private static async Task KeepRunningAsync(CliContext context, LocalPlatform platform, PlatformOptions options, int nodes, int slots, string runner, CancellationToken cancellationToken)
    {
        var isChanged = false;
        while (true)
        {
            try
            {
                await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
                using var turn = PlatformTurn.TryTake(context.Platform);
                if (PlatformState.Read(context.Platform) is not { } state)
                {
                    return;
                }

                if (turn is null)
                {
                    // What ends now is being replaced by whoever has the turn.
                    continue;
                }

                if (!state.Processes.SequenceEqual(platform.Processes))
                {
                    // Another command has started or moved something: what it left is watched from here on, and what it did not start again is started.
                    platform = await LocalPlatform.OpenAsync(context.Platform, options with { Components = state.Components }, cancellationToken);
                    isChanged = true;
                }

                var dead = platform.Processes.Where(process => !process.IsRunning).Select(process => (process.Name, process.LogPath)).ToList();
                if (platform.Postgres is { IsExternal: false, IsRunning: false })
                {
                    dead.Insert(0, ("postgres", platform.Postgres.LogPath));
                }

                if (dead.Count > 0)
                {
                    context.Console.MarkupLineInterpolated($"[yellow]{string.Join(", ", dead.Select(part => part.Name))} ended; starting again[/] [grey](log: {dead[0].LogPath})[/]");
                }

                if (dead.Count > 0 || isChanged)
                {
                    await StartAsync(platform, nodes, slots, runner, _ => { }, cancellationToken);
                    isChanged = false;
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (CliException exception)
            {
                context.Report(exception);
            }
        }
    }

    private static void Show(CliContext context, StatusReport report, bool json)
    {
        if (json)
        {
            CliContext.WriteJson(report);
            return;
        }

        if (report.Services.Count == 0)
        {
            context.Console.MarkupLine("Nothing is running. Start it with [bold]./rendertrust up[/].");
            return;
        }

        var urls = new Table().RoundedBorder().AddColumn("name").AddColumn("address");
        foreach (var (name, url) in report.Urls)
        {
            urls.AddRow(name, Markup.Escape(url));
        }

        var services = new Table().RoundedBorder().AddColumn("part").AddColumn("health").AddColumn("pid").AddColumn("log");
        foreach (var service in report.Services)
        {
            services.AddRow(service.Name, service.Health is "ready" or "running" ? $"[green]{service.Health}[/]" : $"[red]{service.Health}[/]", service.Pid == 0 ? "" : $"{service.Pid}", Markup.Escape(service.Log));
        }

        context.Console.Write(urls);
        context.Console.Write(services);
        if (report.Urls.TryGetValue("dashboard", out var dashboard))
        {
            context.Console.MarkupLineInterpolated($"Watch it at [bold]{dashboard}[/]; [bold]./rendertrust dashboard[/] signs your browser in.");
        }
    }
}
