using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Platform;

/// <summary>The folder through which processes of a platform are told where to die, and tell where they did.</summary>
internal sealed class FailpointFolder
{
    public FailpointFolder(string path)
    {
        Path = path;
        Directory.CreateDirectory(HitsPath);
    }

    public string Path { get; }

    private string HitsPath => System.IO.Path.Combine(Path, Failpoint.HitsFolder);

    public void Arm(string name) => File.WriteAllText(System.IO.Path.Combine(Path, name), "");

    public void Disarm(string name) => File.Delete(System.IO.Path.Combine(Path, name));

    public bool IsArmed(string name) => File.Exists(System.IO.Path.Combine(Path, name));

    /// <summary>How often each failpoint has killed a process.</summary>
    public IReadOnlyDictionary<string, int> Hits() => Directory.EnumerateFiles(HitsPath)
        .GroupBy(file => System.IO.Path.GetFileName(file).Split('_')[0])
        .ToDictionary(group => group.Key, group => group.Count());
}
