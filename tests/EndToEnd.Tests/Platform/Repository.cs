namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>Where the clone is, and the programs that a user would start from it.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Cli => Program("clients/Cli", "RenderTrust.Cli.dll");

    public static string Sidecar => Program("edge/Sidecar", "RenderTrust.Sidecar.dll");

    private static string Program(string project, string file)
    {
        var path = Path.Combine(Root, project, "bin", "Release", "net10.0", file);
        return File.Exists(path)
            ? path
            : throw new InvalidOperationException($"{path} is not built. These tests start the real programs: dotnet build RenderTrust.sln -c Release.");
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "RenderTrust.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("RenderTrust.sln was not found above the test.");
        }

        return folder.FullName;
    }
}
