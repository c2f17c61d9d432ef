using System.CommandLine;
using System.CommandLine.Invocation;
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
    var parsed = root.Parse(args);
    return parsed.Action is ParseErrorAction ? context.Report(UsageErrors.Of(parsed)) : await parsed.InvokeAsync(new InvocationConfiguration
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
catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
{
    // A file or folder that the user named, or one of ours on a disk that is full or belongs to somebody else: the message says which.
    return context.Report(new CliException($"{exception.Message.TrimEnd('.')}. Check the path, its permissions and the free space."));
}
catch (OperationCanceledException)
{
    return 130;
}
