namespace RenderTrust.Sidecar.State;

/// <summary>daprd takes a path, a <c>file:</c> URI with the pragmas of its Go driver, or <c>:memory:</c>.</summary>
internal static class SqliteConnectionString
{
    public const string InMemory = ":memory:";

    /// <summary>An absolute path, or <see cref="InMemory"/>. What a URI says after its path is the other driver's business.</summary>
    public static string ToDataSource(string text, string directory)
    {
        var path = text.StartsWith("file:", StringComparison.OrdinalIgnoreCase) ? text["file:".Length..] : text;
        var query = path.IndexOf('?', StringComparison.Ordinal);
        var parameters = query < 0 ? [] : path[(query + 1)..].Split('&');
        path = query < 0 ? path : path[..query];
        if (path == InMemory || parameters.Contains("mode=memory", StringComparer.OrdinalIgnoreCase))
        {
            return InMemory;
        }

        // file://{host}/{path} has an empty host here, and file:{path} none.
        path = path.StartsWith("///", StringComparison.Ordinal) ? path[2..] : path;
        return Path.GetFullPath(path, directory);
    }
}
