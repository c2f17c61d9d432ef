using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using RenderTrust.Sidecar.Bindings;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.State;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>Mistakes in files end the program with code 2 and a line that an editor can jump to.</summary>
public sealed class ConfigurationTests : IAsyncDisposable
{
    private readonly SidecarRig rig = new();

    public static TheoryData<string, int, string> BrokenComponents => new()
    {
        // YAML itself
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x\nspec: [", 3, "yaml" },
        { "- a\n- b\n", 1, "document" },
        { "a:\n  " + new string('[', 5000), 2, "nested deeper" },
        { "a: &a [x]\n? [*a, *a]\n: b\n", 2, "no plain text" },
        // Fields
        { "apiVersion: dapr.io/v1alpha1\nkind: Componnent\n", 2, "kind" },
        { "apiVersion: v1\nkind: Component\nmetadata: {name: x}\nspec: {type: state.in-memory}\n", 1, "apiVersion" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {}\nspec: {type: state.in-memory}\n", 3, "metadata.name" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\n\nspec:\n  tpye: state.in-memory\n", 6, "spec.tpye" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.oracle\n  version: v1\n", 5, "spec.type" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.postgresql\n  version: v3\n", 5, "spec.version" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.in-memory\n  version: v1\n  metadata:\n    - name: keyPrefix\n", 8, "spec.metadata[0].name" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.in-memory\n  metadata:\n    - name: keyPrefix\n      envRef: DAPR_API_TOKEN\n", 8, "envRef" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.in-memory\n  metadata:\n    - name: keyPrefix\n      envRef: SURELY_NOT_SET\n", 7, "SURELY_NOT_SET" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.in-memory\n  metadata:\n    - name: keyPrefix\n      secretKeyRef: {name: s}\n", 7, "secretKeyRef" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.in-memory\n  metadata:\n    - {name: actorStateStore, value: perhaps}\n", 7, "actorStateStore" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: pubsub.redis\n  metadata:\n    - {name: redisHost, value: 127.0.0.1:1}\n    - {name: processingTimeout, value: soon}\n", 8, "processingTimeout" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: pubsub.redis\n  metadata:\n    - {name: redisHost, value: '127.0.0.1:1'}\n", 7, "redisHost" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.postgresql\n  version: v2\n  metadata:\n    - {name: connectionString, value: 'host=127.0.0.1 port=1 user=u database=d'}\n", 8, "connectionString" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.postgresql\n  version: v2\n  metadata:\n    - {name: connectionString, value: 'host=127.0.0.1'}\n    - {name: tablePrefix, value: 'x; drop table y'}\n", 9, "tablePrefix" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: bindings.cron\n  metadata:\n    - {name: schedule, value: 'every now and then'}\n", 7, "schedule" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec: {type: state.in-memory}\n---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: x\nspec: {type: state.in-memory}\n", 9, "metadata.name" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: state.sqlite\n  metadata:\n    - {name: connectionString, value: ':memory:'}\n    - {name: cleanupInterval, value: 9999999h}\n", 8, "at most 45 days" },
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec:\n  type: bindings.cron\n  metadata:\n    - {name: schedule, value: '@every 99999999h'}\n", 7, "schedule" },
        // Two actor stores
        { "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\nspec: {type: state.in-memory, metadata: [{name: actorStateStore, value: 'true'}]}\n---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: y}\nspec: {type: state.in-memory, metadata: [{name: actorStateStore, value: 'true'}]}\n", 6, "actorStateStore" },
        // Subscriptions
        { "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {name: s}\nspec:\n  pubsubname: p\n  topic: t\n  routes:\n    rules:\n      - match: matches(event.type, 'x.*')\n        path: /a\n", 9, "spec.routes.rules[0].match" },
        { "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {name: s}\nspec:\n  pubsubname: p\n  routes: {default: /a}\n", 5, "spec.topic" },
        { "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {name: s}\nspec:\n  pubsubname: p\n  topic: t\n  routes:\n    rules:\n      - match: " + new string('(', 100_000) + "\n        path: /a\n", 9, "nested deeper" },
        { "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {name: s}\nspec:\n  pubsubname: p\n  topic: t\n", 5, "spec.routes" },
    };

    [Theory]
    [MemberData(nameof(BrokenComponents))]
    public async Task A_broken_resource_is_told_with_file_line_and_field(string yaml, int line, string field)
    {
        rig.Resource("broken", yaml);
        rig.AddApp("one", withPort: false);
        var failure = await Assert.ThrowsAsync<ConfigurationException>(() => rig.StartAsync());

        Assert.StartsWith($"{Path.Combine(rig.Root, "resources", "broken.yaml")}:{line}: ", failure.Message, StringComparison.Ordinal);
        Assert.Contains(field, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_told_with_their_line()
    {
        File.WriteAllBytes(rig.RunFile, [.. "version: 1\nname: "u8, 0xC3, 0x28, .. "\napps: []\n"u8]);
        var failure = Assert.Throws<ConfigurationException>(() => RunFile.Read(rig.RunFile));

        Assert.StartsWith($"{rig.RunFile}:2: file: has bytes that are not UTF-8", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_value_and_its_line_breaks_leave_the_complaint_one_line()
    {
        File.WriteAllText(rig.RunFile, $"version: \"a\\nb{new string('c', 10_000)}\"\napps: []\n");
        var failure = Assert.Throws<ConfigurationException>(() => RunFile.Read(rig.RunFile));

        Assert.StartsWith($"{rig.RunFile}:1: version: must be 1, 'a\\u000abccc", failure.Message, StringComparison.Ordinal);
        Assert.InRange(failure.Message.Length, 300, 700);
    }

    [Theory]
    [InlineData("version: 2\napps: []\n", 1, "version")]
    [InlineData("version: 1\napps: []\n", 2, "apps")]
    [InlineData("version: 1\napps:\n  - appID: a\n    appDirPath: ./nowhere\n", 4, "apps[0].appDirPath")]
    [InlineData("version: 1\napps:\n  - appID: a\n    appDirPath: .\n    appPrt: 1\n", 5, "apps[0].appPrt")]
    [InlineData("version: 1\napps:\n  - appID: a\n    appDirPath: .\n    appPort: 99999\n", 5, "apps[0].appPort")]
    [InlineData("version: 1\napps:\n  - {appID: a, appDirPath: .}\n  - {appID: a, appDirPath: .}\n", 4, "apps[1].appID")]
    [InlineData("version: 1\napps:\n  - {appID: a, appDirPath: ., appPort: 7000}\n  - {appID: b, appDirPath: ., daprHTTPPort: 7000}\n", 4, "apps[1].daprHTTPPort")]
    [InlineData("version: 1\napps:\n  - appID: a\n    appDirPath: .\n    appProtocol: h2c\n", 5, "apps[0].appProtocol")]
    [InlineData("version: 1\napps:\n  - appID: a\n    appDirPath: .\n    maxBodySize: huge\n", 5, "apps[0].maxBodySize")]
    [InlineData("version: 1\ncommon: {resourcesPath: ./nowhere}\napps:\n  - {appID: a, appDirPath: .}\n", 2, "common.resourcesPath")]
    public void A_broken_run_file_is_told_with_line_and_field(string yaml, int line, string field)
    {
        File.WriteAllText(rig.RunFile, yaml);
        var failure = Assert.Throws<ConfigurationException>(() => RunFile.Read(rig.RunFile));

        Assert.StartsWith($"{rig.RunFile}:{line}: {field}: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_file_merges_the_common_block_and_makes_paths_absolute()
    {
        Directory.CreateDirectory(Path.Combine(rig.Root, "shared"));
        Directory.CreateDirectory(Path.Combine(rig.Root, "svc", "own"));
        File.WriteAllText(rig.RunFile, """
            version: 1
            common:
              resourcesPath: ./shared
              env: {A: "1", B: "2"}
            apps:
              - appDirPath: ./svc
                env: {B: "3"}
              - appID: other
                appDirPath: ./svc
                resourcesPaths: [./own]
                maxBodySize: 16Mi
            """);
        var apps = RunFile.Read(rig.RunFile).Apps;

        Assert.Equal(["svc", "other"], apps.Select(app => app.AppId));
        Assert.Equal([("A", "1"), ("B", "3")], apps[0].Environment.OrderBy(e => e.Key).Select(e => (e.Key, e.Value)));
        Assert.Equal([Path.Combine(rig.Root, "shared")], apps[0].ResourcePaths);
        Assert.Equal([Path.Combine(rig.Root, "svc", "own")], apps[1].ResourcePaths);
        Assert.Equal(16 * 1024 * 1024, apps[1].MaxBodyBytes);
    }

    [Fact]
    public void The_repositorys_own_run_file_and_components_are_read()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "RenderTrust.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var run = RunFile.Read(Path.Combine(root, "dapr.yaml"));
        var resources = Resources.Read(run.Apps[0].ResourcePaths);

        Assert.Equal(["gateway", "scheduler", "ledger", "identity", "catalog"], run.Apps.Select(app => app.AppId));
        Assert.Equal(["broadcast", "cache", "pubsub", "secrets", "state"], resources.Components.Select(component => component.Name).Order());
    }

    [Fact]
    public async Task The_program_ends_with_code_2_for_a_mistake_and_3_for_a_taken_port()
    {
        var app = rig.AddApp("one", withPort: false);
        rig.WriteRunFile();
        using var taken = new TcpListener(IPAddress.Loopback, app.HttpPort);
        taken.Start();
        var (portCode, portText) = await RunAsync("run", "-f", rig.RunFile);
        await File.WriteAllTextAsync(rig.RunFile, "version: 1\napps:\n  - appID: a\n", TestContext.Current.CancellationToken);
        var (fileCode, fileText) = await RunAsync("run", "-f", rig.RunFile);
        var (usageCode, _) = await RunAsync("walk");

        Assert.Equal((3, true), (portCode, portText.Contains($"app one: Dapr HTTP port {app.HttpPort} is already in use", StringComparison.Ordinal)));
        Assert.Equal(2, fileCode);
        Assert.StartsWith($"{rig.RunFile}:3: apps[0].appDirPath: is missing", fileText, StringComparison.Ordinal);
        Assert.Equal(2, usageCode);
    }

    [Theory]
    [InlineData("host=h port=5 user=u password='p w' dbname=d", "Host=h;Port=5;Username=u;Password=p w;Database=d")]
    [InlineData("postgres://u:p%40w@h:5/d?search_path=s&sslmode=disable", "Host=h;Port=5;Username=u;Password=p@w;Database=d;Search Path=s;SSL Mode=Disable")]
    [InlineData("Host=h;Username=u", "Host=h;Username=u")]
    public void Postgres_connection_strings_of_all_three_kinds_are_read(string text, string expected)
    {
        var actual = new Npgsql.NpgsqlConnectionStringBuilder(PostgresConnectionString.ToNpgsql(text));
        var wanted = new Npgsql.NpgsqlConnectionStringBuilder(expected);

        Assert.True(wanted.EquivalentTo(actual), actual.ConnectionString);
    }

    [Theory]
    [InlineData("0h0m5s0ms", 5000)]
    [InlineData("1h2m", 3_720_000)]
    [InlineData("1.5s", 1500)]
    [InlineData("-3s", -3000)]
    [InlineData("0", 0)]
    public void Go_durations_are_read(string text, double milliseconds)
    {
        Assert.True(DaprDuration.TryParseGo(text, out var duration));
        Assert.Equal(milliseconds, duration.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("s")]
    [InlineData("5 s")]
    [InlineData("99999999999h")]
    public void What_is_not_a_go_duration_is_refused(string text) => Assert.False(DaprDuration.TryParseGo(text, out _));

    [Theory]
    [InlineData("event.type == \"a\"", true)]
    [InlineData("event.type == 'b'", false)]
    [InlineData("event.data.size > 2 && event.data.size <= 3", true)]
    [InlineData("event.data.missing == \"a\" || event.data['kind'] in ['x', 'y']", true)]
    [InlineData("!(event.type != \"a\")", true)]
    [InlineData("has(event.data.kind) && !has(event.data.none)", true)]
    [InlineData("event.source.startsWith(\"/ap\") && event.source.endsWith(\"p\") && event.source.contains(\"ap\")", true)]
    [InlineData("event.data.missing != \"a\"", false)]
    [InlineData("event.data.flag == true", true)]
    public void Rules_are_evaluated(string rule, bool expected)
    {
        using var document = System.Text.Json.JsonDocument.Parse("""{"type":"a","source":"/app","data":{"size":3,"kind":"x","flag":true}}""");

        Assert.Equal(expected, RoutingRule.Parse(rule).Matches(document.RootElement));
    }

    [Theory]
    [InlineData("event.type = 'a'")]
    [InlineData("event.type == 'a")]
    [InlineData("type == 'a'")]
    [InlineData("event.data.all(x, x > 1)")]
    [InlineData("event.a + event.b == 2")]
    [InlineData("")]
    [InlineData("(event.type == 'a'")]
    public void Rules_that_are_not_understood_are_refused_when_read(string rule) => Assert.Throws<RuleException>(() => RoutingRule.Parse(rule));

    [Theory]
    [InlineData("0 3 * * *", "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z")]
    [InlineData("*/15 * * * * *", "2026-01-01T00:00:01Z", "2026-01-01T00:00:15Z")]
    [InlineData("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z")]
    [InlineData("0 12 * * MON-FRI", "2026-01-03T00:00:00Z", "2026-01-05T12:00:00Z")]
    [InlineData("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")]
    [InlineData("@hourly", "2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z")]
    [InlineData("@every 90s", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z")]
    public void Cron_schedules_tick_when_they_should(string text, string after, string expected)
    {
        Assert.True(CronSchedule.TryParse(text, out var schedule));
        Assert.Equal(DateTimeOffset.Parse(expected), schedule.Next(DateTimeOffset.Parse(after)));
    }

    [Theory]
    [InlineData("* * *")]
    [InlineData("60 * * * *")]
    [InlineData("5-1 * * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("0 0 31 2 *")]
    [InlineData("@sometimes")]
    public void What_is_not_a_schedule_is_refused(string text) => Assert.False(CronSchedule.TryParse(text, out _));

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    internal static async Task<(int Code, string Error)> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(Hosting.SidecarHost).Assembly.Location, .. arguments]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, error);
    }
}
