using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>One app told by daprd's own flags: what they mean, and the program that they start.</summary>
public sealed class CommandLineTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("rt-command-").FullName;
    private readonly HttpClient http = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("--app-id x --app-port 7001 --dapr-http-port 7002 --dapr-grpc-port 7003 --app-channel-address localhost --max-body-size 16Mi --log-level warn")]
    [InlineData("-app-id x -app-port=7001 -dapr-http-port=7002 -dapr-grpc-port=7003 -app-channel-address=localhost -max-body-size=16Mi -log-level=warn")]
    [InlineData("-a x -p 7001 -H 7002 -G 7003 --app-channel-address localhost --max-body-size 16Mi --log-level=WARN")]
    [InlineData("--app-id x --app-port 7001 --dapr-http-port 7002 --dapr-grpc-port 7003 --app-channel-address localhost --max-body-size 16Mi --log-level warn --app-protocol http --placement-host-address h:50005 --scheduler-host-address= --metrics-port 0 --enable-metrics=false --enable-api-logging --dapr-listen-addresses 127.0.0.1,::1 --mode standalone")]
    [InlineData("--app-id x --app-port 7001 --dapr-http-port 7002 --dapr-grpc-port 7003 --app-channel-address localhost --dapr-http-max-request-size 16 --log-level warn")]
    public void Daprds_flags_are_read_with_one_dash_or_two(string line)
    {
        var options = SidecarArguments.Parse(["sidecar", .. line.Split(' ')], out _)!;

        var app = options.App!;
        Assert.Equal(("x", 7001, 7002, 7003), (app.AppId, app.AppPort, app.HttpPort, app.GrpcPort));
        Assert.Equal(("localhost", 16L * 1024 * 1024, 0), (app.ChannelAddress, app.MaxBodyBytes, app.Command.Count));
        Assert.Equal(Microsoft.Extensions.Logging.LogLevel.Warning, options.LogLevel);
        Assert.False(options.EndsWithApp);
    }

    [Fact]
    public void A_sidecar_listens_where_daprd_would_unless_told_otherwise()
    {
        var app = SidecarArguments.Parse(["sidecar", "--app-id", "x"], out _)!.App!;

        Assert.Equal((0, 3500, 50001), (app.AppPort, app.HttpPort, app.GrpcPort));
    }

    [Fact]
    public void What_follows_the_flags_is_the_apps_command()
    {
        var dashed = SidecarArguments.Parse(["run", "--app-id", "x", "--", "dotnet", "app.dll", "--app-id", "y"], out _)!;
        var plain = SidecarArguments.Parse(["run", "--app-id", "x", "dotnet", "app.dll"], out _)!;

        Assert.Equal(["dotnet", "app.dll", "--app-id", "y"], dashed.App!.Command);
        Assert.Equal(["dotnet", "app.dll"], plain.App!.Command);
        Assert.True(dashed.EndsWithApp);
    }

    [Theory]
    [InlineData("sidecar", "--app-id: is missing")]
    [InlineData("sidecar --app-id a/b", "--app-id a/b: is not an app id")]
    [InlineData("sidecar --app-id x --app-port", "--app-port: has no value")]
    [InlineData("sidecar --app-id x --app-port 70000", "--app-port 70000: is not a whole number")]
    [InlineData("sidecar --app-id x --dapr-http-port 7000 --dapr-grpc-port 7000", "--dapr-grpc-port 7000: is given to another endpoint, too")]
    [InlineData("sidecar --app-id x --app-protocol h3", "--app-protocol h3: is not served")]
    [InlineData("sidecar --app-id x --max-body-size huge", "--max-body-size huge: is not a size")]
    [InlineData("sidecar --app-id x --mode kubernetes", "--mode kubernetes: is not served")]
    [InlineData("sidecar --app-id x --dapr-listen-addresses 0.0.0.0", "--dapr-listen-addresses 0.0.0.0: is not loopback")]
    [InlineData("sidecar --app-id x --unknown 1", "--unknown: is not an option that we know")]
    [InlineData("sidecar --app-id x -- sleep 1", "sleep: 'sidecar' starts no process")]
    [InlineData("sidecar --app-id x --enable-app-health-check=perhaps", "--enable-app-health-check perhaps: is not true or false")]
    [InlineData("run", "-f or --app-id: is missing")]
    [InlineData("run -f dapr.yaml --app-port 7", "--app-port: belongs to one app")]
    [InlineData("run -f dapr.yaml -- sleep 1", "sleep: -f takes its commands from the run file")]
    public void A_mistake_on_the_command_line_is_told_with_the_flag_and_its_value(string line, string expected)
    {
        Assert.Null(SidecarArguments.Parse(line.Split(' '), out var problem));
        Assert.StartsWith(expected, problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_sidecar_is_up_before_its_app_and_lets_a_call_finish_when_it_is_terminated()
    {
        var (appPort, httpPort) = (TestPorts.Free(), TestPorts.Free());
        using var sidecar = Start("dotnet", [Program, "sidecar", "-app-id", "elsewhere", $"-app-port={appPort}", $"-dapr-http-port={httpPort}", "-dapr-grpc-port", $"{TestPorts.Free()}", "--log-level", "error"]);
        var address = $"http://127.0.0.1:{httpPort}";
        await Wait.UntilAsync("the sidecar answers", async () => (await http.GetAsync($"{address}/v1.0/healthz/outbound", Token)).StatusCode == HttpStatusCode.NoContent);
        var before = (await http.GetAsync($"{address}/v1.0/healthz", Token)).StatusCode;

        var entered = new TaskCompletionSource();
        var leave = new TaskCompletionSource();
        await using var app = await HostedTestApp.StartAsync(appPort, web => web.MapGet("/slow", async () =>
        {
            entered.SetResult();
            await leave.Task;
            return "done";
        }));
        await Wait.UntilAsync("the app is ready", async () => (await http.GetAsync($"{address}/v1.0/healthz", Token)).StatusCode == HttpStatusCode.NoContent);
        var call = http.GetStringAsync($"{address}/v1.0/invoke/elsewhere/method/slow", Token);
        await entered.Task.WaitAsync(Token);
        Signals.SendAlone(sidecar.Id, Signals.Terminate);
        await Wait.UntilAsync("the sidecar takes no more connections", () => IsClosedAsync(httpPort));
        leave.SetResult();

        Assert.Equal(HttpStatusCode.InternalServerError, before);
        Assert.Equal("done", await call);
        await sidecar.WaitForExitAsync(Token);
        Assert.Equal(0, sidecar.ExitCode);
    }

    [Theory]
    [InlineData("echo I am $APP_ID; exit 0", 0)]
    [InlineData("echo I am $APP_ID; exit 3", 1)]
    public async Task The_dapr_command_ends_with_its_app_and_tells_whether_it_failed(string script, int code)
    {
        using var dapr = Start(Dapr, ["run", "--app-id", "short", "--log-level", "error", "--", "sh", "-c", script]);
        var output = await dapr.StandardOutput.ReadToEndAsync(Token);
        await dapr.WaitForExitAsync(Token);

        Assert.Equal((code, true), (dapr.ExitCode, output.Contains("I am short", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_dapr_command_stops_what_it_has_started()
    {
        var id = $"app-{Guid.CreateVersion7():N}";
        var httpPort = TestPorts.Free();
        using var dapr = Start(Dapr, ["run", "--app-id", id, "--dapr-http-port", $"{httpPort}", "--log-level", "error", "--", "sleep", "1000"]);
        await Wait.UntilAsync("the app is ready", async () => (await http.GetAsync($"http://127.0.0.1:{httpPort}/v1.0/healthz", Token)).StatusCode == HttpStatusCode.NoContent);
        using var stop = Start(Dapr, ["stop", "--app-id", id]);
        await stop.WaitForExitAsync(Token);
        await dapr.WaitForExitAsync(Token);
        using var again = Start(Dapr, ["stop", "--app-id", id]);
        await again.WaitForExitAsync(Token);

        Assert.Equal((0, 0, 1), (stop.ExitCode, dapr.ExitCode, again.ExitCode));
    }

    public void Dispose()
    {
        http.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private static string Program => typeof(SidecarHost).Assembly.Location;

    private static string Dapr => Path.Combine(RepositoryFolder.Root, "edge", "Sidecar", "command", "dapr");

    private Process Start(string program, IReadOnlyList<string> arguments) =>
        Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true })!;

    private static async Task<bool> IsClosedAsync(int port)
    {
        using var socket = new System.Net.Sockets.TcpClient();
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port, Token);
            return false;
        }
        catch (System.Net.Sockets.SocketException)
        {
            return true;
        }
    }
}
