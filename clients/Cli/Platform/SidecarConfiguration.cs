using System.Globalization;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Daprd;
using YamlDotNet.RepresentationModel;

namespace RenderTrust.Cli.Platform;

/// <summary>Writes the run's copy of <c>dapr.yaml</c>: the repository's file with this box's ports, paths and environment. Mode 0600, since connection strings are in it.</summary>
internal static class SidecarConfiguration
{
    private const string Remedy = "Correct it, or take back the repository's own: git checkout dapr.yaml";

    /// <summary>The services of the repository's <c>dapr.yaml</c>.</summary>
    public static IReadOnlyList<ServiceProgram> ReadServices(PlatformPaths paths) =>
    [
        .. Apps(paths, Read(Source(paths)).Root).Select(app => new ServiceProgram(
            Text(paths, app, "appID"),
            Path.GetFullPath(Path.Combine(paths.RepositoryRoot, Text(paths, app, "appDirPath"))),
            [.. Child<YamlSequenceNode>(paths, app, "command").Children.Select(word => $"{word}")])),
    ];

    public static string FileOf(PlatformPaths paths) => Path.Combine(paths.Configuration, "dapr.yaml");

    /// <summary>The file that was written last, over the components of another broker; all else stays as that start had it.</summary>
    public static void MoveTo(PlatformPaths paths, string broker)
    {
        var (stream, root) = Read(FileOf(paths));
        ((YamlMappingNode)root.Children["common"]).Children["resourcesPaths"] = ResourcesOf(paths, broker);
        Save(paths, stream);
    }

    public static void Write(PlatformPaths paths, PortPlan ports, string broker, IReadOnlyDictionary<string, string> common, Func<string, IReadOnlyDictionary<string, string>> perApp)
    {
        var (stream, root) = Read(Source(paths));
        if (!root.Children.TryGetValue("common", out var found) || found is not YamlMappingNode shared)
        {
            shared = new YamlMappingNode();
            root.Children["common"] = shared;
        }

        shared.Children.Remove("resourcesPath");
        shared.Children["resourcesPaths"] = ResourcesOf(paths, broker);
        AddEnvironment(shared, common);
        foreach (var app in Apps(paths, root))
        {
            var id = Text(paths, app, "appID");
            if (!ports.All.ContainsKey($"{id}.app"))
            {
                throw Wrong(paths, app, "appID", $"is '{id}', which is no service of this platform");
            }

            app.Children["appPort"] = Number(ports[$"{id}.app"]);
            app.Children["daprHTTPPort"] = Number(ports[$"{id}.http"]);
            app.Children["daprGRPCPort"] = Number(ports[$"{id}.grpc"]);
            app.Children["appDirPath"] = new YamlScalarNode(Path.GetFullPath(Path.Combine(paths.RepositoryRoot, Text(paths, app, "appDirPath"))));
            AddEnvironment(app, perApp(id));
        }

        Save(paths, stream);
    }

    private static YamlSequenceNode ResourcesOf(PlatformPaths paths, string broker) => new(
        new YamlScalarNode(Path.Combine(paths.RepositoryRoot, "components", "base")), new YamlScalarNode(Path.Combine(paths.RepositoryRoot, "components", broker)));

    private static void Save(PlatformPaths paths, YamlStream stream)
    {
        var target = FileOf(paths);
        var fresh = target + ".new";
        using (var writer = new StreamWriter(new FileStream(fresh, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        })))
        {
            stream.Save(writer, assignAnchors: false);
        }

        File.Move(fresh, target, overwrite: true);
    }

    private static string Source(PlatformPaths paths) => Path.Combine(paths.RepositoryRoot, "dapr.yaml");

    private static (YamlStream Stream, YamlMappingNode Root) Read(string source)
    {
        var stream = new YamlStream();
        try
        {
            using var reader = new StreamReader(source);
            stream.Load(reader);
        }
        catch (YamlDotNet.Core.YamlException exception)
        {
            throw new CliException($"{source}:{exception.Start.Line}: yaml: {exception.Message} {Remedy}", exitCode: 2);
        }
        // The parser's own state fails on some brackets that are never closed.
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            throw new CliException($"{source} could not be read: {exception.Message} {Remedy}", exitCode: 2);
        }

        return stream.Documents is [{ RootNode: YamlMappingNode root }]
            ? (stream, root)
            : throw new CliException($"{source}:1: document: is not one mapping of field: value. {Remedy}", exitCode: 2);
    }

    private static IEnumerable<YamlMappingNode> Apps(PlatformPaths paths, YamlMappingNode root) => Child<YamlSequenceNode>(paths, root, "apps").Children
        .Select(app => app as YamlMappingNode ?? throw Wrong(paths, app, "apps", "has an item that is no mapping"));

    private static string Text(PlatformPaths paths, YamlMappingNode map, string field) =>
        Child<YamlScalarNode>(paths, map, field).Value is { Length: > 0 } text ? text : throw Wrong(paths, map, field, "is empty");

    private static T Child<T>(PlatformPaths paths, YamlMappingNode map, string field) where T : YamlNode =>
        map.Children.TryGetValue(field, out var found) && found is T node ? node : throw Wrong(paths, map, field, found is null ? "is missing" : "is of another kind");

    private static CliException Wrong(PlatformPaths paths, YamlNode at, string field, string what) =>
        new($"{Source(paths)}:{at.Start.Line}: {field}: {what}. {Remedy}", exitCode: 2);

    private static YamlScalarNode Number(int value) => new(value.ToString(CultureInfo.InvariantCulture));

    private static void AddEnvironment(YamlMappingNode node, IReadOnlyDictionary<string, string> values)
    {
        if (!node.Children.TryGetValue("env", out var found) || found is not YamlMappingNode environment)
        {
            environment = new YamlMappingNode();
            node.Children["env"] = environment;
        }

        foreach (var (key, value) in values)
        {
            environment.Children[key] = new YamlScalarNode(value) { Style = YamlDotNet.Core.ScalarStyle.DoubleQuoted };
        }
    }
}
