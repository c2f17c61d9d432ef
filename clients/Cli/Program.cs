using System.CommandLine;
using RenderTrust.Cli;
using RenderTrust.Cli.Bench;
using RenderTrust.Cli.Commands;
using RenderTrust.Cli.Demo;
using RenderTrust.Cli.Load;
using RenderTrust.Cli.Output;
using RenderTrust.Client;

var context = new CliContext(Environment.GetEnvironmentVariable("RENDERTRUST_ROOT") ?? Environment.CurrentDirectory);
var root = new RootCommand("RenderTrust: render and AI jobs on GPUs that studios own, with assets sealed from submission to export.")
{
    DemoCommand.Create(context),
    PlatformCommands.Up(context),
    PlatformCommands.Down(context),
    PlatformCommands.Status(context),
    BrokerCommand.Create(context),
    LoginCommand.Create(context),
    DashboardCommand.Create(context),
    KeysCommand.Create(context),
    CreditsCommand.Create(context),
    SubmitCommand.Create(context),
    JobCommands.Watch(context),
    JobCommands.Fetch(context),
    JobCommands.Jobs(context),
    JobCommands.Cancel(context),
    NodeCommand.Create(context),
    ModuleCommand.Create(context),
    LoadCommand.Create(context),
    BenchCommand.Create(context),
};

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration
    {
        EnableDefaultExceptionHandler = false,

        // Two seconds by default, in which no platform stops. What a command does after Ctrl+C has bounds of its own.
        ProcessTerminationTimeout = TimeSpan.FromMinutes(5),
    });
}
catch (CliException exception)
{
    return context.Report(exception);
}
catch (RenderTrustException exception)
{
    return context.Report(new CliException(exception.Message));
}
catch (Npgsql.NpgsqlException exception)
{
    return context.Report(new CliException($"The database could not be asked: {exception.GetBaseException().Message}. If it has just been killed, the same command starts it again.", context.Platform.Log("setup")));
}
catch (OperationCanceledException)
{
    return 130;
}
