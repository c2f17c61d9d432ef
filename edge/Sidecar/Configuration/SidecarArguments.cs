using System.Globalization;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Telemetry;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>The command line. Tokens come from the environment, so that they do not show in a process list.</summary>
internal static class SidecarArguments
{
    private const string Usage = """
        usage: RenderTrust.Sidecar run -f dapr.yaml [--resources-path DIR]... [--log-dir DIR] [--status-file PATH] [--log-level LEVEL] [--backoff-max SECONDS] [--span-sink APP/PATH]
          -f, --run-file FILE    multi-app run file, as `dapr run -f` takes it
          --resources-path DIR   components and subscriptions for every app, instead of those that the run file names; may repeat
          --log-dir DIR          where {app}.log goes (default: .dapr/logs beside the run file)
          --status-file PATH     JSON of apps, pids, ports, health and logs, rewritten at each change
          --log-level LEVEL      debug, information, warning or error (default: information)
          --backoff-max SECONDS  longest wait before an app that exited is started again (default: 30)
          --span-sink APP/PATH   app that takes this host's spans of jobs, posted as JSON (default: none)
        environment: OTEL_EXPORTER_OTLP_ENDPOINT (spans to a collector), DAPR_API_TOKEN (demanded of callers), APP_API_TOKEN (shown to the apps; made for this run if unset)
        """;

    public static SidecarOptions? Parse(IReadOnlyList<string> args, out string problem)
    {
        problem = Usage;
        if (args.Count == 0 || args[0] != "run")
        {
            return null;
        }

        string? runFile = null;
        string? logDirectory = null;
        string? statusFile = null;
        var level = LogLevel.Information;
        var supervisor = new SupervisorOptions();
        SpanSink? spanSink = null;
        var resources = new List<string>();
        for (var i = 1; i < args.Count; i += 2)
        {
            if (i + 1 >= args.Count)
            {
                problem = $"{args[i]}: has no value\n{Usage}";
                return null;
            }

            var value = args[i + 1];
            switch (args[i])
            {
                case "-f" or "--run-file":
                    runFile = value;
                    break;
                case "--resources-path":
                    resources.Add(Path.GetFullPath(value));
                    break;
                case "--log-dir":
                    logDirectory = value;
                    break;
                case "--status-file":
                    statusFile = value;
                    break;
                case "--log-level" when Enum.TryParse(value, ignoreCase: true, out level):
                    break;
                case "--backoff-max" when double.TryParse(value, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0.5 and <= 3600:
                    supervisor = supervisor with { BackoffMax = TimeSpan.FromSeconds(seconds) };
                    break;
                case "--span-sink" when SpanSink.Parse(value) is { } sink:
                    spanSink = sink;
                    break;
                default:
                    problem = $"{args[i]} {value}: is not an option that we know\n{Usage}";
                    return null;
            }
        }

        if (runFile is null)
        {
            problem = $"-f: is missing\n{Usage}";
            return null;
        }

        return new SidecarOptions
        {
            RunFile = runFile,
            ResourcePaths = resources,
            LogDirectory = logDirectory,
            StatusFile = statusFile,
            LogLevel = level,
            Supervisor = supervisor,
            SpanSink = spanSink,
            OtlpEndpoint = NotEmpty(Environment.GetEnvironmentVariable(Otlp.EndpointVariable)),
            DaprApiToken = NotEmpty(Environment.GetEnvironmentVariable("DAPR_API_TOKEN")),
            AppApiToken = NotEmpty(Environment.GetEnvironmentVariable("APP_API_TOKEN")),
        };
    }

    private static string? NotEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
