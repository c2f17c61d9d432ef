using System.Globalization;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Daprd;
using YamlDotNet.RepresentationModel;

namespace RenderTrust.Cli.Platform;

/// <summary>Writes the run's copy of <c>dapr.yaml</c>: the repository's file with this box's ports, paths and environment. Mode 0600, since connection strings are in it.</summary>
internal static class SidecarConfiguration
{
    /// <summary>The services of the repository's <c>dapr.yaml</c>.</summary>
    public static IReadOnlyList<ServiceProgram> ReadServices(PlatformPaths paths) =>
    [
        .. ((YamlSequenceNode)Read(Source(paths)).Root.Children["apps"]).Children.Cast<YamlMappingNode>().Select(app => new ServiceProgram(
            ((YamlScalarNode)app.Children["appID"]).Value!,
            Path.GetFullPath(Path.Combine(paths.RepositoryRoot, ((YamlScalarNode)app.Children["appDirPath"]).Value!)),
            [.. ((YamlSequenceNode)app.Children["command"]).Children.Select(word => ((YamlScalarNode)word).Value!)])),
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
        foreach (var app in ((YamlSequenceNode)root.Children["apps"]).Children.Cast<YamlMappingNode>())
        {
            var id = ((YamlScalarNode)app.Children["appID"]).Value!;
            app.Children["appPort"] = Number(ports[$"{id}.app"]);
            app.Children["daprHTTPPort"] = Number(ports[$"{id}.http"]);
            app.Children["daprGRPCPort"] = Number(ports[$"{id}.grpc"]);
            var folder = ((YamlScalarNode)app.Children["appDirPath"]).Value!;
            app.Children["appDirPath"] = new YamlScalarNode(Path.GetFullPath(Path.Combine(paths.RepositoryRoot, folder)));
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
        catch (Exception exception) when (exception is YamlDotNet.Core.YamlException or IOException)
        {
            throw new CliException($"{source} could not be read: {exception.Message}", exitCode: 2);
        }

        return (stream, (YamlMappingNode)stream.Documents[0].RootNode);
    }

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
