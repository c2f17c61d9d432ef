using System.Diagnostics;
using System.Text;
using RenderTrust.WorkflowLoad;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>A worker of the load program as a process of its own, which can be killed and started again.</summary>
internal sealed class WorkerProcess(int grpcPort, string apiToken, string effects) : IDisposable
{
    private readonly StringBuilder output = new();
    private Process? process;

    public string Output
    {
        get
        {
            lock (output)
            {
                return output.ToString();
            }
        }
    }

    public void Launch()
    {
        var start = new ProcessStartInfo("dotnet") { ArgumentList = { typeof(Shapes).Assembly.Location, "worker" }, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DAPR_GRPC_PORT"] = $"{grpcPort}";
        start.Environment["DAPR_API_TOKEN"] = apiToken;
        start.Environment["WORKFLOW_LOAD_POSTGRES"] = effects;
        process = Process.Start(start)!;
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>SIGKILL: what it had taken is left where it was.</summary>
    public async Task KillAsync(CancellationToken cancellationToken)
    {
        process!.Kill();
        await process.WaitForExitAsync(cancellationToken);
        Dispose();
    }

    public void Dispose()
    {
        if (process is { HasExited: false })
        {
            process.Kill();
        }

        process?.Dispose();
        process = null;
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (output)
        {
            output.AppendLine(line.Data);
        }
    }
}
