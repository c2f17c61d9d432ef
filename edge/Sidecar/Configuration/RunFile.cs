using System.Globalization;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>One app of <c>dapr.yaml</c>, with the common block merged in and paths made absolute.</summary>
internal sealed record AppDefinition
{
    public required string AppId { get; init; }
    public required string Directory { get; init; }
    public required string File { get; init; }
    public required long Line { get; init; }
    public int AppPort { get; init; }
    public int HttpPort { get; init; }
    public int GrpcPort { get; init; }
    public IReadOnlyList<string> Command { get; init; } = [];
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
    public IReadOnlyList<string> ResourcePaths { get; init; } = [];
    public string ChannelAddress { get; init; } = "127.0.0.1";
    public string Protocol { get; init; } = "http";

    /// <summary>The app's kind: Configuration, absolute; null applies the defaults.</summary>
    public string? ConfigurationFile { get; init; }

    /// <summary>The app writes where this host does, instead of into a file.</summary>
    public bool LogsToConsole { get; init; }
    public long MaxBodyBytes { get; init; } = 4 * 1024 * 1024;
    public bool HealthCheckEnabled { get; init; }
    public string HealthCheckPath { get; init; } = "/healthz";
    public TimeSpan HealthProbeInterval { get; init; } = TimeSpan.FromSeconds(5);
    public TimeSpan HealthProbeTimeout { get; init; } = TimeSpan.FromMilliseconds(500);
    public int HealthThreshold { get; init; } = 3;

    public static string ServedProtocols => "http or grpc";

    public static bool IsAppId(string text) =>
        text.Length > 0 && !text.Contains("||", StringComparison.Ordinal) && !text.Any(c => char.IsWhiteSpace(c) || c is '/' or ':');

    public static bool IsServed(string protocol) => protocol is "http" or "grpc";
}

/// <summary>A multi-app run file: the same that <c>dapr run -f</c> takes.</summary>
internal sealed record RunFile(string Path, IReadOnlyList<AppDefinition> Apps)
{
    private static readonly string[] SharedFields =
    [
        "configFilePath", "appProtocol", "apiListenAddresses", "logLevel", "appMaxConcurrency", "placementHostAddress",
        "schedulerHostAddress", "resourcesPath", "resourcesPaths", "appSSL", "maxBodySize", "readBufferSize",
        "enableAppHealthCheck", "appHealthCheckPath", "appHealthProbeInterval", "appHealthProbeTimeout", "appHealthThreshold",
        "enableApiLogging", "runtimePath", "env", "daprdLogDestination", "appLogDestination", "enableProfiling",
    ];

    private static readonly string[] AppFields =
    [
        "appID", "appDirPath", "appPort", "daprHTTPPort", "daprGRPCPort", "daprInternalGRPCPort", "metricsPort", "profilePort",
        "command", "appChannelAddress", "unixDomainSocket", "containerImage", "containerImagePullPolicy", .. SharedFields,
    ];

    public static RunFile Read(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        var documents = YamlFile.Read(path);
        if (documents.Count != 1)
        {
            throw new ConfigurationException(path, 1, "document", $"has {documents.Count} documents", null, "a run file is exactly one document");
        }

        var root = documents[0];
        root.RefuseUnknown("version", "name", "common", "apps");
        if (root.Text("version") is not "1")
        {
            throw root.Error("version", "must be 1", root.Text("version"), "write version: 1");
        }

        var common = root.Map("common");
        common?.RefuseUnknown(SharedFields);
        var apps = root.Maps("apps");
        if (apps.Count == 0)
        {
            throw root.Error("apps", "is empty", null, "list at least one app with appDirPath and appPort");
        }

        var definitions = apps.Select(app => ReadApp(app, common, System.IO.Path.GetDirectoryName(path)!)).ToList();
        RefuseDuplicates(apps, definitions);
        return new RunFile(path, definitions);
    }

    private static AppDefinition ReadApp(YamlMap app, YamlMap? common, string baseDirectory)
    {
        app.RefuseUnknown(AppFields);
        var given = app.RequireText("appDirPath", "name the app's directory, relative to this file");
        var directory = FullPath(baseDirectory, given);
        if (!System.IO.Directory.Exists(directory))
        {
            throw app.Error("appDirPath", "does not exist", given, $"create {directory} or correct the path");
        }

        var appId = app.Text("appID") ?? new DirectoryInfo(directory).Name;
        if (!AppDefinition.IsAppId(appId))
        {
            throw app.Error("appID", "is not an app id", appId, "use letters, digits, '-' and '_'");
        }

        RefuseUnserved(app, common);
        var environment = new Dictionary<string, string>(common?.TextMap("env") ?? new Dictionary<string, string>());
        foreach (var (name, value) in app.TextMap("env"))
        {
            environment[name] = value;
        }

        return new AppDefinition
        {
            AppId = appId,
            Directory = directory,
            File = app.File,
            Line = app.Line,
            AppPort = app.Port("appPort") ?? 0,
            HttpPort = app.Port("daprHTTPPort") ?? 0,
            GrpcPort = app.Port("daprGRPCPort") ?? 0,
            Command = app.Texts("command"),
            Environment = environment,
            ResourcePaths = ReadResourcePaths(app, common, directory, baseDirectory),
            ChannelAddress = app.Text("appChannelAddress") ?? "127.0.0.1",
            Protocol = app.Text("appProtocol") ?? common?.Text("appProtocol") ?? "http",
            ConfigurationFile = ReadConfigurationPath(app, common, directory, baseDirectory),
            MaxBodyBytes = ReadSize(app, common, "maxBodySize") ?? 4 * 1024 * 1024,
            HealthCheckEnabled = app.Flag("enableAppHealthCheck") ?? common?.Flag("enableAppHealthCheck") ?? false,
            HealthCheckPath = app.Text("appHealthCheckPath") ?? common?.Text("appHealthCheckPath") ?? "/healthz",
            HealthProbeInterval = TimeSpan.FromSeconds(ReadNumber(app, common, "appHealthProbeInterval", 86_400) ?? 5),
            HealthProbeTimeout = TimeSpan.FromMilliseconds(ReadNumber(app, common, "appHealthProbeTimeout", 86_400_000) ?? 500),
            HealthThreshold = ReadNumber(app, common, "appHealthThreshold", 1_000_000) ?? 3,
        };
    }

    private static void RefuseUnserved(YamlMap app, YamlMap? common)
    {
        foreach (var map in new[] { app, common })
        {
            if (map?.Text("appProtocol") is { } protocol && !AppDefinition.IsServed(protocol))
            {
                throw map.Error("appProtocol", "is not served by the embedded sidecar", protocol, $"write {AppDefinition.ServedProtocols}, or run with the real daprd");
            }

            if (map?.Flag("appSSL") is true)
            {
                throw map.Error("appSSL", "is not served by the embedded sidecar", "true", "remove it, or run with the real daprd");
            }
        }
    }

    private static List<string> ReadResourcePaths(YamlMap app, YamlMap? common, string appDirectory, string baseDirectory)
    {
        var own = Paths(app, appDirectory);
        if (own.Count > 0)
        {
            return own;
        }

        var conventional = System.IO.Path.Combine(appDirectory, ".dapr", "resources");
        if (System.IO.Directory.Exists(conventional))
        {
            return [conventional];
        }

        return common is null ? [] : Paths(common, baseDirectory);
    }

    private static string? ReadConfigurationPath(YamlMap app, YamlMap? common, string appDirectory, string baseDirectory)
    {
        if (app.Text("configFilePath") is { Length: > 0 } own)
        {
            return ExistingFile(app, FullPath(appDirectory, own), own);
        }

        var conventional = System.IO.Path.Combine(appDirectory, ".dapr", "config.yaml");
        if (System.IO.File.Exists(conventional))
        {
            return conventional;
        }

        return common?.Text("configFilePath") is { Length: > 0 } shared ? ExistingFile(common, FullPath(baseDirectory, shared), shared) : null;
    }

    private static string ExistingFile(YamlMap map, string full, string given) => System.IO.File.Exists(full)
        ? full
        : throw map.Error("configFilePath", "does not exist", given, "write the file or correct the path");

    private static List<string> Paths(YamlMap map, string relativeTo)
    {
        var paths = map.Texts("resourcesPaths").ToList();
        var field = "resourcesPaths";
        if (map.Text("resourcesPath") is { } single)
        {
            paths.Add(single);
            field = "resourcesPath";
        }

        return [.. paths.Select(path =>
        {
            var full = FullPath(relativeTo, path);
            return System.IO.Directory.Exists(full)
                ? full
                : throw map.Error(field, "does not exist", path, $"create {full} or correct the path");
        })];
    }

    private static int? ReadNumber(YamlMap app, YamlMap? common, string key, int most)
    {
        var map = app.Text(key) is not null ? app : common;
        if (map?.Text(key) is not { } text)
        {
            return null;
        }

        return int.TryParse(text, out var number) && number > 0 && number <= most
            ? number
            : throw map.Error(key, $"is not a number from 1 to {most}", text, "write a whole number");
    }

    private static long? ReadSize(YamlMap app, YamlMap? common, string key)
    {
        var map = app.Text(key) is not null ? app : common;
        if (map?.Text(key) is not { } text)
        {
            return null;
        }

        return ByteSize.TryParse(text, out var bytes) ? bytes : throw map.Error(key, "is not a size", text, "write for example 4Mi");
    }

    private static void RefuseDuplicates(IReadOnlyList<YamlMap> maps, List<AppDefinition> apps)
    {
        var ports = new Dictionary<int, string>();
        for (var i = 0; i < apps.Count; i++)
        {
            if (apps.Take(i).Any(other => other.AppId == apps[i].AppId))
            {
                throw maps[i].Error("appID", "is used twice", apps[i].AppId, "give each app its own id");
            }

            foreach (var (field, port) in new[] { ("appPort", apps[i].AppPort), ("daprHTTPPort", apps[i].HttpPort), ("daprGRPCPort", apps[i].GrpcPort) })
            {
                if (port != 0 && !ports.TryAdd(port, $"{apps[i].AppId}.{field}"))
                {
                    throw maps[i].Error(field, $"is already the port of {ports[port]}", port.ToString(CultureInfo.InvariantCulture), "give each endpoint its own port");
                }
            }
        }
    }

    private static string FullPath(string relativeTo, string path) =>
        path.StartsWith("~/", StringComparison.Ordinal)
            ? System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), path[2..])
            : System.IO.Path.GetFullPath(path, relativeTo);
}
