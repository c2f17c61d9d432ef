using System.Text.Json;

namespace RenderTrust.Cli.Platform;

/// <summary>What runs, so that <c>status</c> and <c>down</c> of a later shell know it. Mode 0600; holds no secrets.</summary>
/// <param name="Components">Folder of the broker under <c>components/</c>; null before there was a choice, which is Redis.</param>
internal sealed record PlatformState(
    string Instance, DateTimeOffset StartedAt, string Sidecar, IReadOnlyDictionary<string, int> Ports, IReadOnlyList<ManagedProcess> Processes, string? ExternalPostgres,
    string? Components = null)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static PlatformState? Read(PlatformPaths paths) =>
        File.Exists(paths.StateFile) ? JsonSerializer.Deserialize<PlatformState>(File.ReadAllText(paths.StateFile), Json) : null;

    public void Write(PlatformPaths paths)
    {
        var fresh = paths.StateFile + ".new";
        File.WriteAllText(fresh, JsonSerializer.Serialize(this, Json));
        File.SetUnixFileMode(fresh, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.Move(fresh, paths.StateFile, overwrite: true);
    }

    public static void Delete(PlatformPaths paths) => File.Delete(paths.StateFile);
}
