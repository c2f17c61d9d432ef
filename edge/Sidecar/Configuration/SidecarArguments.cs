using System.Globalization;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Telemetry;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>The command line. Tokens come from the environment, so that they do not show in a process list.</summary>
internal static class SidecarArguments
{
    /// <summary>daprd's own defaults.</summary>
    private const int DefaultHttpPort = 3500;
    private const int DefaultGrpcPort = 50001;

    private static readonly string[] HostNames = ["resources-path", "components-path", "log-dir", "status-file", "log-level", "backoff-max", "span-sink"];

    private const string Usage = """
        usage: RenderTrust.Sidecar run -f dapr.yaml [HOST OPTIONS]                  apps of a run file, started and supervised
               RenderTrust.Sidecar run --app-id ID [APP OPTIONS] -- COMMAND ...     one app, started here; free ports unless given; ends with the app
               RenderTrust.Sidecar sidecar --app-id ID [APP OPTIONS]                one app that runs elsewhere, as daprd serves it
               RenderTrust.Sidecar stop --app-id ID | -f dapr.yaml                  asks a host of one of the first three to end
        app options, one dash or two, value after a space or '=':
          --app-port PORT  --app-channel-address HOST  --app-protocol PROTOCOL  --dapr-http-port PORT (3500)  --dapr-grpc-port PORT (50001)
          --config FILE (kind: Configuration)  --max-body-size SIZE (4Mi)  --enable-app-health-check  --app-health-check-path PATH
          --dapr-listen-addresses LOOPBACK  --dapr-http-max-request-size MEGABYTES  --mode standalone  --components-path DIR (as --resources-path)
          --app-health-probe-interval SECONDS  --app-health-probe-timeout MILLISECONDS  --app-health-threshold COUNT
          accepted and unused: --placement-host-address, --scheduler-host-address, --metrics-port, --enable-metrics, --enable-api-logging,
          --log-as-json, --dapr-internal-grpc-port, --dapr-graceful-shutdown-seconds
        host options:
          -f, --run-file FILE    multi-app run file, as `dapr run -f` takes it
          --resources-path DIR   components and subscriptions for every app, instead of those that the run file names; may repeat
          --log-dir DIR          where {app}.log goes (default: .dapr/logs beside the run file)
          --status-file PATH     JSON of apps, pids, ports, health and logs, rewritten at each change
          --log-level LEVEL      debug, info, warn or error (default: info)
          --backoff-max SECONDS  longest wait before an app that exited is started again (default: 30)
          --span-sink APP/PATH   app that takes this host's spans of jobs, posted as JSON (default: none)
        environment: OTEL_EXPORTER_OTLP_ENDPOINT (spans to a collector), DAPR_API_TOKEN (demanded of callers), APP_API_TOKEN (shown to the apps; made for this run if unset)
        """;

    public static SidecarOptions? Parse(IReadOnlyList<string> args, out string problem)
    {
        problem = Usage;
        try
        {
            return args switch
            {
                ["run", ..] => ReadRun([.. args.Skip(1)]),
                ["sidecar", ..] => ReadSidecar([.. args.Skip(1)]),
                _ => null,
            };
        }
        catch (UsageException e)
        {
            problem = $"{e.Message}\n{Usage}";
            return null;
        }
    }

    private static SidecarOptions ReadRun(string[] args)
    {
        var flags = Flags.Read(args, ["run-file", .. HostNames, .. AppArguments.Names, .. AppArguments.UnusedNames], [.. AppArguments.Switches, .. AppArguments.UnusedSwitches]);
        if (flags.Text("run-file") is { } runFile)
        {
            flags.Refuse("belongs to one app, and -f names the file of several", [.. AppArguments.Names, .. AppArguments.Switches]);
            return flags.Command.Count == 0
                ? ReadHost(flags, runFile)
                : throw new UsageException($"{flags.Command[0]}: -f takes its commands from the run file");
        }

        if (flags.Text("app-id") is null)
        {
            throw new UsageException("-f or --app-id: is missing");
        }

        var app = AppArguments.Read(flags, httpPort: 0, grpcPort: 0);
        return ReadHost(flags, AppArguments.Source) with { App = app, EndsWithApp = app.Command.Count > 0 };
    }

    private static SidecarOptions ReadSidecar(string[] args)
    {
        var flags = Flags.Read(args, [.. HostNames, .. AppArguments.Names, .. AppArguments.UnusedNames], [.. AppArguments.Switches, .. AppArguments.UnusedSwitches]);
        return flags.Command.Count == 0
            ? ReadHost(flags, AppArguments.Source) with { App = AppArguments.Read(flags, DefaultHttpPort, DefaultGrpcPort) }
            : throw new UsageException($"{flags.Command[0]}: 'sidecar' starts no process, use 'run --app-id ID -- COMMAND' for that");
    }

    private static SidecarOptions ReadHost(Flags flags, string runFile) => new()
    {
        RunFile = runFile,
        ResourcePaths = [.. flags.All("resources-path").Concat(flags.All("components-path")).Select(Path.GetFullPath)],
        LogDirectory = flags.Text("log-dir"),
        StatusFile = flags.Text("status-file"),
        LogLevel = ReadLevel(flags.Text("log-level")),
        Supervisor = ReadSupervisor(flags.Text("backoff-max")),
        SpanSink = flags.Text("span-sink") is not { } text ? null : SpanSink.Parse(text) ?? throw new UsageException($"--span-sink {text}: is not APP/PATH"),
        OtlpEndpoint = NotEmpty(Environment.GetEnvironmentVariable(Otlp.EndpointVariable)),
        DaprApiToken = NotEmpty(Environment.GetEnvironmentVariable("DAPR_API_TOKEN")),
        AppApiToken = NotEmpty(Environment.GetEnvironmentVariable("APP_API_TOKEN")),
    };

    private static LogLevel ReadLevel(string? text) => text?.ToLowerInvariant() switch
    {
        null or "info" => LogLevel.Information,
        "warn" => LogLevel.Warning,
        "fatal" => LogLevel.Critical,
        _ => Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) ? level : throw new UsageException($"--log-level {text}: is not debug, info, warn or error"),
    };

    private static SupervisorOptions ReadSupervisor(string? backoffMax) => backoffMax switch
    {
        null => new SupervisorOptions(),
        _ when double.TryParse(backoffMax, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0.5 and <= 3600 =>
            new SupervisorOptions { BackoffMax = TimeSpan.FromSeconds(seconds) },
        _ => throw new UsageException($"--backoff-max {backoffMax}: is not a number of seconds from 0.5 to 3600"),
    };

    private static string? NotEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
