using System.Diagnostics;
using System.Net;
using System.Text;
using Npgsql;
using RenderTrust.TestKit;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>The embedded sidecar as a process of its own, on a real Postgres, serving apps that run elsewhere. It can be killed and started again.</summary>
public sealed class SidecarProcess(TestDatabase database) : IAsyncDisposable
{
    /// <summary>The sidecar's exit code for this.</summary>
    private const int PortTaken = 3;

    private static readonly HttpClient Http = new();

    private readonly string root = Directory.CreateTempSubdirectory("rt-workflow-").FullName;
    private readonly StringBuilder output = new();
    private Process? process;

    public (int Http, int Grpc) One { get; } = (TestPorts.Free(), TestPorts.Free());

    public (int Http, int Grpc) Two { get; } = (TestPorts.Free(), TestPorts.Free());

    /// <summary>An app that listens on <see cref="JsAppPort"/> once its test starts it.</summary>
    public (int Http, int Grpc) Js { get; } = (TestPorts.Free(), TestPorts.Free());

    public int JsAppPort { get; } = TestPorts.Free();

    /// <summary>An app that its test starts on <see cref="EventAppPort"/>, when there are <see cref="Brokers"/>.</summary>
    public (int Http, int Grpc) Event { get; } = (TestPorts.Free(), TestPorts.Free());

    public int EventAppPort { get; } = TestPorts.Free();

    /// <summary>Address of a Redis and of a RabbitMQ, which become the pub/sub components "redis" and "rabbit".</summary>
    public (string Redis, string Rabbit)? Brokers { get; init; }

    public string ApiToken { get; } = "token-of-the-sidecar";

    private static string Program => Path.Combine(
        Environment.GetEnvironmentVariable("RENDERTRUST_ROOT") ?? throw new InvalidOperationException("RENDERTRUST_ROOT is not set. tests/run sets it to the repository's folder."),
        "edge", "Sidecar", "bin", "Release", "net10.0", "RenderTrust.Sidecar.dll");

    public async Task StartAsync()
    {
        Launch();
        await ReadyAsync();
    }

    /// <summary>Starts the process and does not wait for it.</summary>
    public void Launch()
    {
        WriteFiles();
        var start = new ProcessStartInfo("dotnet") { ArgumentList = { Program, "run", "-f", Path.Combine(root, "dapr.yaml") }, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DAPR_API_TOKEN"] = ApiToken;
        process = Process.Start(start)!;
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>Fails when the process has ended by itself.</summary>
    public void AssertRunning() => Assert.False(process!.HasExited, $"The sidecar has ended:\n{Output}");

    /// <summary>Fails when the sidecar wrote of a fault of its own, with what it wrote.</summary>
    public void AssertNoFault()
    {
        // gRPC's server calls it a failure, too, when a client gives up while its request is still being read.
        var faults = Output.Split('\n').Where(line => line.Contains("fail: ", StringComparison.Ordinal) && !line.Contains("The client reset the request stream", StringComparison.Ordinal));
        Assert.Empty(faults);
    }

    public Task ReadyAsync(TimeSpan? limit = null) => Wait.UntilAsync("the sidecar is ready", async () =>
    {
        if (process is { HasExited: true, ExitCode: PortTaken })
        {
            // While it was down, a neighbour on this machine had one of its ports for a moment.
            process.Dispose();
            Launch();
        }

        AssertRunning();
        using var answer = await Http.GetAsync(new Uri($"http://127.0.0.1:{One.Http}/v1.0/healthz"), TestContext.Current.CancellationToken);
        return answer.StatusCode == HttpStatusCode.NoContent;
    }, () => Output, limit);

    /// <summary>What the sidecar has written so far.</summary>
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

    /// <summary>Sends a signal by name; STOP freezes the process with its connections, CONT wakes it.</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("kill", ["-s", name, $"{process!.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>SIGKILL: nothing is put in order.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        process.Dispose();
        process = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            await KillAsync();
        }

        Directory.Delete(root, recursive: true);
    }

    private void WriteFiles()
    {
        var npgsql = new NpgsqlConnectionStringBuilder(database.AdminConnectionString);
        Directory.CreateDirectory(Path.Combine(root, "resources"));
        Directory.CreateDirectory(Path.Combine(root, "one"));
        Directory.CreateDirectory(Path.Combine(root, "two"));
        File.WriteAllText(Path.Combine(root, "resources", "state.yaml"), $"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: state
            spec:
              type: state.postgresql
              version: v2
              metadata:
                - name: connectionString
                  value: "host={npgsql.Host} port={npgsql.Port} user={npgsql.Username} database={npgsql.Database}"
                - name: actorStateStore
                  value: "true"
            """);
        File.WriteAllText(Path.Combine(root, "resources", "pubsub.yaml"), """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: pubsub
            spec:
              type: pubsub.in-memory
              version: v1
              metadata: []
            """);
        File.WriteAllText(Path.Combine(root, "dapr.yaml"), $"""
            version: 1
            common:
              resourcesPath: ./resources
            apps:
              - appID: one
                appDirPath: ./one
                daprHTTPPort: {One.Http}
                daprGRPCPort: {One.Grpc}
              - appID: two
                appDirPath: ./two
                daprHTTPPort: {Two.Http}
                daprGRPCPort: {Two.Grpc}
              - appID: js
                appDirPath: ./two
                appPort: {JsAppPort}
                daprHTTPPort: {Js.Http}
                daprGRPCPort: {Js.Grpc}
            """);
        if (Brokers is var (redis, rabbit))
        {
            WriteEventApp(redis, rabbit);
        }
    }

    private void WriteEventApp(string redis, string rabbit)
    {
        WritePubSub("redis", "pubsub.redis", $"{{name: redisHost, value: \"{redis}\"}}, {{name: processingTimeout, value: 2s}}, {{name: redeliverInterval, value: 1s}}");
        WritePubSub("rabbit", "pubsub.rabbitmq", $"{{name: connectionString, value: \"{rabbit}\"}}, "
            + string.Join(", ", new[] { ("durable", "true"), ("deletedWhenUnused", "false"), ("deliveryMode", "2"), ("publisherConfirm", "true"), ("requeueInFailure", "true") }
                .Select(setting => $"{{name: {setting.Item1}, value: \"{setting.Item2}\"}}")));
        File.AppendAllText(Path.Combine(root, "dapr.yaml"), $"""

              - appID: event
                appDirPath: ./two
                appPort: {EventAppPort}
                daprHTTPPort: {Event.Http}
                daprGRPCPort: {Event.Grpc}
            """);
    }

    private void WritePubSub(string name, string type, string settings) => File.WriteAllText(Path.Combine(root, "resources", $"{name}.yaml"), $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: {name}
        spec:
          type: {type}
          version: v1
          metadata: [{settings}]
        scopes: [event]
        """);

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (output)
        {
            output.AppendLine(line.Data);
        }
    }
}
