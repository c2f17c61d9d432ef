using System.Diagnostics;
using System.Text.Json;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>What one run of tests/EndToEnd.Tests/Tus/upload.mjs printed.</summary>
internal sealed record TusRun(bool Done, bool Died, string? Error, int? Status, long? FirstOffset, long Accepted, string? Url);

/// <summary>Runs the reference tus client under node. The first use installs its packages.</summary>
internal static class TusJsClient
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);
    private static readonly Lazy<Task<string>> Installed = new(InstallAsync);

    public static async Task<TusRun> UploadAsync(object job, CancellationToken cancellationToken)
    {
        var folder = await Installed.Value;
        var (output, error) = await RunAsync(folder, "node", ["upload.mjs", JsonSerializer.Serialize(job, Web)], cancellationToken);
        var last = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault()
            ?? throw new InvalidOperationException($"upload.mjs printed nothing. Its errors: {error}");
        return JsonSerializer.Deserialize<TusRun>(last, Web)!;
    }

    private static async Task<string> InstallAsync()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "RenderTrust.sln")))
        {
            root = root.Parent ?? throw new InvalidOperationException("RenderTrust.sln was not found above the test.");
        }

        var folder = Path.Combine(root.FullName, "tests", "EndToEnd.Tests", "Tus");
        if (!File.Exists(Path.Combine(folder, "node_modules", ".package-lock.json")))
        {
            var (output, error) = await RunAsync(folder, "npm", ["ci", "--no-audit", "--no-fund"], CancellationToken.None);
            if (!File.Exists(Path.Combine(folder, "node_modules", "tus-js-client", "package.json")))
            {
                throw new InvalidOperationException($"npm ci in {folder} did not install tus-js-client. Check node 20, npm and the registry.\n{output}\n{error}");
            }
        }

        return folder;
    }

    private static async Task<(string Output, string Error)> RunAsync(string folder, string program, string[] arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (await output, await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
