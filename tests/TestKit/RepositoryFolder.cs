namespace RenderTrust.TestKit;

/// <summary>Where the sources are, seen from a test's output folder.</summary>
public static class RepositoryFolder
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "RenderTrust.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("RenderTrust.sln was not found above the test.");
        }

        return folder.FullName;
    }
}
