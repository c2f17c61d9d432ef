using System.Text.RegularExpressions;
using RenderTrust.Cli.Output;
using RenderTrust.Client.Jobs;
using RenderTrust.Sealing;

namespace RenderTrust.Cli.Platform;

/// <summary>A POV-Ray scene with the files beside it that it names, so that it arrives whole at the node.</summary>
internal static partial class SceneFiles
{
    private const long LongestFileBytes = 2L * 1024 * 1024 * 1024;

    /// <returns>The scene's path inside the asset, and the asset.</returns>
    public static (string ScenePath, DraftAsset Asset) Collect(string scene)
    {
        var full = Path.GetFullPath(scene);
        if (!File.Exists(full))
        {
            throw new CliException($"There is no scene at {scene}. Give the path of a .pov file.", exitCode: 2);
        }

        if (!full.EndsWith(".pov", StringComparison.OrdinalIgnoreCase))
        {
            throw new CliException($"{scene} is not a POV-Ray scene. This module takes .pov files; 'rendertrust modules' lists the others.", exitCode: 2);
        }

        var root = Path.GetDirectoryName(full)!;
        var found = new Dictionary<string, string>(StringComparer.Ordinal) { [Path.GetFileName(full)] = full };
        Follow(root, full, found);
        return (Path.GetFileName(full), new DraftAsset("", [.. found.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => new AssetSource(pair.Key, _ => Task.FromResult<Stream>(File.OpenRead(pair.Value))))]));
    }

    /// <summary>Quoted names in a scene that exist below its folder; what is not there comes with POV-Ray itself.</summary>
    private static void Follow(string root, string file, Dictionary<string, string> found)
    {
        foreach (Match match in Quoted().Matches(File.ReadAllText(file)))
        {
            var name = match.Groups[1].Value;
            var path = Path.GetFullPath(Path.Combine(root, name));
            if (!path.StartsWith(root + Path.DirectorySeparatorChar, StringComparison.Ordinal) || !File.Exists(path) || !found.TryAdd(Path.GetRelativePath(root, path), path))
            {
                continue;
            }

            if (new FileInfo(path).Length > LongestFileBytes)
            {
                throw new CliException($"{path} is larger than {LongestFileBytes} bytes.", exitCode: 2);
            }

            if (path.EndsWith(".inc", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".pov", StringComparison.OrdinalIgnoreCase))
            {
                Follow(root, path, found);
            }
        }
    }

    [GeneratedRegex("\"([^\"\\r\\n]{1,250})\"")]
    private static partial Regex Quoted();
}
