using System.Diagnostics;
using System.Text;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>The embedded sidecar host as a process. Nothing but its addresses is used of it.</summary>
internal sealed class EmbeddedHost : IAsyncDisposable
{
    private readonly StringBuilder output = new();
    private Process? process;

    /// <summary>Gone with the host.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("rt-conformance-").FullName;

    private static string Root => Environment.GetEnvironmentVariable("RENDERTRUST_ROOT") ?? TestKit.RepositoryFolder.Root;

    public static string Components(string name) => Path.Combine(Root, "tests", "Sidecar.Conformance", "Components", name);

    public void Start(IEnumerable<DaprSidecar> sidecars, string components, IReadOnlyDictionary<string, string> environment)
    {
        var program = Path.Combine(Root, "edge", "Sidecar", "bin", "Release", "net10.0", "RenderTrust.Sidecar.dll");
        Assert.True(File.Exists(program), $"{program} is missing: build edge/Sidecar in Release first, or name a sidecar in CONFORMANCE_DAPR_HTTP and CONFORMANCE_DAPR_GRPC.");
        var file = Path.Combine(Folder, "dapr.yaml");
        var text = new StringBuilder($"version: 1\ncommon:\n  resourcesPath: {Components(components)}\napps:\n");
        foreach (var sidecar in sidecars)
        {
            Directory.CreateDirectory(Path.Combine(Folder, sidecar.AppId));
            text.Append($"  - appID: {sidecar.AppId}\n    appDirPath: ./{sidecar.AppId}\n    daprHTTPPort: {sidecar.HttpPort}\n    daprGRPCPort: {sidecar.GrpcPort}\n");
            text.Append(sidecar.AppPort == 0 ? "" : $"    appPort: {sidecar.AppPort}\n");
        }

        File.WriteAllText(file, text.ToString());
        var start = new ProcessStartInfo("dotnet", [program, "run", "-f", file, "--log-level", "warning"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        process = Process.Start(start)!;
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Output
    {
        get
        {
            lock (output)
            {
                return process is { HasExited: true } ? $"exit code {process.ExitCode}: {output}" : output.ToString();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        Directory.Delete(Folder, recursive: true);
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (output)
        {
            output.AppendLine(line.Data);
        }
    }
}
