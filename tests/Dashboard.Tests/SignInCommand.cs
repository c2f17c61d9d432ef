using System.Diagnostics;
using System.Text.Json;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.Dashboard.Tests;

/// <summary><c>rendertrust dashboard --json</c> as a person runs it: it says a link, then waits for the browser.</summary>
internal sealed class SignInCommand : IAsyncDisposable
{
    private readonly Process _process;

    private SignInCommand(Process process, Uri link) => (_process, Link) = (process, link);

    public Uri Link { get; }

    public static async Task<SignInCommand> StartAsync(string profile)
    {
        var start = new ProcessStartInfo("dotnet", [Repository.Cli, "dashboard", "--json", "--profile", profile])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["RENDERTRUST_ROOT"] = Repository.Root;
        var process = Process.Start(start)!;
        var line = await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken)
            ?? throw new InvalidOperationException($"The command ended without a link: {await process.StandardError.ReadToEndAsync()}");
        return new SignInCommand(process, new Uri(JsonElement.Parse(line).GetProperty("link").GetString()!));
    }

    /// <summary>Waits for its end. Output is all that it said: the browser's name when one came, the cause when it failed.</summary>
    public async Task<(int ExitCode, string Output)> EndAsync()
    {
        var said = await Task.WhenAll(
            _process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), _process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (_process.ExitCode, string.Concat(said));
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }
}
