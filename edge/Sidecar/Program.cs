using System.Runtime.InteropServices;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.Hosting;

const int ExitFailed = 1;
const int ExitConfiguration = 2;
const int ExitPortTaken = 3;

if (args is ["stop", ..])
{
    return await StopHost.RunAsync(args[1..], TimeProvider.System);
}

if (SidecarArguments.Parse(args, out var problem) is not { } options)
{
    await Console.Error.WriteLineAsync(problem);
    return ExitConfiguration;
}

try
{
    await using var host = await SidecarHost.StartAsync(options, TimeProvider.System, CancellationToken.None);
    using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
    await host.Lifetime.StopRequested;
    await host.StopAsync();
    return host.Lifetime.ExitCode;

    void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        host.Lifetime.Stop($"{context.Signal}");
    }
}
catch (ConfigurationException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return ExitConfiguration;
}
catch (PortTakenException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return ExitPortTaken;
}
catch (IOException e)
{
    await Console.Error.WriteLineAsync($"sidecar: {e.Message}");
    return ExitFailed;
}
