using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace RenderTrust.Gateway.Dashboard;

/// <summary>The built pages. Every path that is no file is the one page, which reads the rest of the address by itself.</summary>
internal static class ServeDashboard
{
    private static readonly FileExtensionContentTypeProvider ContentTypes = new();

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapMethods("/dashboard/{**path}", [HttpMethods.Get, HttpMethods.Head], Handle).AllowAnonymous();
        endpoints.MapMethods("/", [HttpMethods.Get, HttpMethods.Head], () => TypedResults.Redirect("/dashboard/")).AllowAnonymous();
    }

    private static Results<PhysicalFileHttpResult, ContentHttpResult, ProblemHttpResult> Handle(string? path, HttpContext http, IOptions<DashboardOptions> options)
    {
        path ??= "";
        if (path == "api" || path.StartsWith("api/", StringComparison.Ordinal))
        {
            return TypedResults.Problem($"There is no /dashboard/{path}.", statusCode: StatusCodes.Status404NotFound);
        }

        using var files = Directory.Exists(options.Value.Directory) ? new PhysicalFileProvider(options.Value.Directory) : null;
        if (Find(files, path) is { } file)
        {
            // Names under assets/ hold a hash of the content, so whoever has one need never ask again.
            var isHashed = path.StartsWith("assets/", StringComparison.Ordinal);
            return Send(http, file, isHashed ? "public, max-age=31536000, immutable" : "no-cache");
        }

        if (path.StartsWith("assets/", StringComparison.Ordinal))
        {
            return TypedResults.Problem($"There is no /dashboard/{path}. The dashboard was built anew: reload the page.", statusCode: StatusCodes.Status404NotFound);
        }

        return Find(files, "index.html") is { } page
            ? Send(http, page, "no-cache")
            : TypedResults.Text(
                $"The dashboard has not been built, so there is nothing to show ({options.Value.Directory} has no index.html).\n"
                + "Everything else of the platform runs. To build it: ./rendertrust build (needs npm), then reload this page.\n",
                "text/plain; charset=utf-8", statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    /// <summary>The provider refuses paths that lead out of its folder.</summary>
    private static IFileInfo? Find(PhysicalFileProvider? files, string path) =>
        path.Length > 0 && files?.GetFileInfo(path) is { Exists: true, IsDirectory: false, PhysicalPath: not null } file ? file : null;

    private static PhysicalFileHttpResult Send(HttpContext http, IFileInfo file, string caching)
    {
        http.Response.Headers.CacheControl = caching;
        var type = ContentTypes.TryGetContentType(file.Name, out var known) ? known : "application/octet-stream";
        var tag = new EntityTagHeaderValue($"\"{file.LastModified.UtcTicks:x}-{file.Length:x}\"");
        return TypedResults.PhysicalFile(file.PhysicalPath!, type, lastModified: file.LastModified, entityTag: tag);
    }
}
