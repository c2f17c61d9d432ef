using System.Diagnostics;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Cli.Platform.Brokers;
using RenderTrust.Cli.Platform.Daprd;

namespace RenderTrust.Cli.Tests;

/// <summary>What would be started on the real daprd. That has never been at hand here: programs that write down their arguments stand for it.</summary>
public sealed class DaprdTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("rt-daprd-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_programs_get_the_planned_arguments_and_the_components_of_the_repository()
    {
        foreach (var program in new[] { "daprd", "placement", "scheduler" })
        {
            Script(program, "if [ \"$1\" = --version ]; then echo 1.18.2; exit; fi; printf '%s\\n' \"$@\" > $(dirname $0)/args-$$; mv $(dirname $0)/args-$$ $(dirname $0)/args-$(basename $0)");
        }

        var programs = await DaprdPrograms.FindAsync($"/nowhere:{folder}", Token);
        var (paths, ports) = Platform();
        var plan = DaprdPlan.Create(programs, paths, ports, LocalRedis.Components, [new ServiceProgram("ledger", "/srv/ledger", ["dotnet", "ledger.dll"])]);
        foreach (var planned in plan.Where(planned => planned.Command[0].StartsWith(folder, StringComparison.Ordinal)))
        {
            using var process = Process.Start(new ProcessStartInfo(planned.Command[0], planned.Command.Skip(1)))!;
            await process.WaitForExitAsync(Token);
        }

        Assert.Equal(["dapr-placement", "dapr-scheduler", "ledger-daprd", "ledger"], plan.Select(planned => planned.Name));
        Assert.Equal(
            $"--listen-address 127.0.0.1 --port {ports["dapr-placement"]} --initial-cluster dapr-placement-0=127.0.0.1:{ports["dapr-placement.raft"]} --healthz-listen-address 127.0.0.1 "
            + $"--healthz-port {ports["dapr-placement.health"]} --enable-metrics=false", Recorded("placement"));
        Assert.Equal(
            $"--listen-address 127.0.0.1 --port {ports["dapr-scheduler"]} --override-broadcast-host-port 127.0.0.1:{ports["dapr-scheduler"]} --etcd-data-dir {paths.Root}/dapr-scheduler "
            + $"--etcd-client-listen-address 127.0.0.1 --etcd-client-port {ports["dapr-scheduler.etcd"]} --etcd-initial-cluster dapr-scheduler-server-0=http://127.0.0.1:{ports["dapr-scheduler.peer"]} "
            + $"--healthz-listen-address 127.0.0.1 --healthz-port {ports["dapr-scheduler.health"]} --enable-metrics=false", Recorded("scheduler"));
        Assert.Equal(
            $"--app-id ledger --app-port {ports["ledger.app"]} --app-protocol http --app-channel-address 127.0.0.1 --dapr-http-port {ports["ledger.http"]} --dapr-grpc-port {ports["ledger.grpc"]} "
            + $"--dapr-listen-addresses 127.0.0.1 --placement-host-address 127.0.0.1:{ports["dapr-placement"]} --scheduler-host-address 127.0.0.1:{ports["dapr-scheduler"]} "
            + $"--resources-path {paths.RepositoryRoot}/components/base --resources-path {paths.RepositoryRoot}/components/redis --enable-metrics=false", Recorded("daprd"));
        Assert.Equal(["dotnet", "ledger.dll"], plan[3].Command);
        Assert.Equal("/srv/ledger", plan[3].Directory);
    }

    [Fact]
    public async Task Without_the_programs_the_error_names_the_version_and_the_remedy()
    {
        Script("daprd", "echo 1.18.2");
        Script("placement", "exit 0");
        var refused = await Assert.ThrowsAsync<CliException>(() => DaprdPrograms.FindAsync(folder, Token));

        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("needs scheduler of Dapr 1.18", refused.Message, StringComparison.Ordinal);
        Assert.Contains("dapr init --slim --runtime-version 1.18.2", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_older_daprd_is_refused_with_its_version()
    {
        Script("daprd", "echo 1.14.4");
        Script("placement", "exit 0");
        Script("scheduler", "exit 0");
        var refused = await Assert.ThrowsAsync<CliException>(() => DaprdPrograms.FindAsync(folder, Token));

        Assert.Contains("'1.14.4', and the services need 1.18 or newer", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Printing_starts_nothing_and_shows_every_service_of_the_repository()
    {
        var paths = new PlatformPaths(Repository(), $"print-{Guid.CreateVersion7():N}");
        var printed = (await LocalPlatform.OpenAsync(paths, new PlatformOptions("auto", [], "daprd", null, "Development", OnlyPrint: true), Token)).PrintServices();
        var embedded = (await LocalPlatform.OpenAsync(paths, new PlatformOptions("auto", [], "auto", null, "Development", OnlyPrint: true), Token)).PrintServices();

        Assert.Equal(5, printed.Count(line => line.Contains(" daprd --app-id ", StringComparison.Ordinal)));
        Assert.Single(printed, line => line.Contains("dotnet bin/Release/net10.0/RenderTrust.Ledger.dll", StringComparison.Ordinal));
        Assert.Single(embedded, line => line.Contains("RenderTrust.Sidecar.dll run -f ", StringComparison.Ordinal));
        Assert.False(Directory.Exists(paths.Root));
    }

    [Theory]
    [InlineData("gateway", "gateway")]
    [InlineData("hub", "gateway")]
    [InlineData("scheduler.app", "scheduler")]
    [InlineData("scheduler.http", "scheduler-daprd")]
    [InlineData("dapr-scheduler.etcd", "dapr-scheduler")]
    public void A_port_belongs_to_the_process_that_listens_on_it(string port, string part) => Assert.Equal(part, DaprdPlan.PartOf(port));

    [Fact]
    public void An_unknown_sidecar_is_refused()
    {
        var refused = Assert.Throws<CliException>(() => SidecarChoice.Decide("envoy"));

        Assert.Contains("'embedded' (as 'auto' does), or 'daprd'", refused.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static (PlatformPaths Paths, PortPlan Ports) Platform() =>
        (new PlatformPaths("/opt/clone", "platform"), PortPlan.Create("auto", [], LocalRedis.Components, DaprdPlan.Kind));

    private void Script(string name, string body)
    {
        var file = Path.Combine(folder, name);
        File.WriteAllText(file, $"#!/bin/sh\n{body}\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private string Recorded(string program) => string.Join(' ', File.ReadAllLines(Path.Combine(folder, $"args-{program}")));

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "RenderTrust.sln")))
        {
            folder = folder.Parent!;
        }

        return folder.FullName;
    }
}
