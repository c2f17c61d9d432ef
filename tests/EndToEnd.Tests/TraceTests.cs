using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>One trace per job, from the creator's command through every part of the platform to the node and back.</summary>
public sealed class TraceTests(PlatformFixture platform) : IAsyncLifetime
{
    private const string SceneName = "unmistakable-orrery.pov";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await platform.StartAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_jobs_trace_goes_from_the_command_to_the_node_and_back_and_is_its_creators_alone()
    {
        var creator = await platform.NewCreatorAsync("Tara");
        var scene = Path.Combine(platform.NewFolder("scene"), SceneName);
        await File.WriteAllTextAsync(scene, Scenes.Ball, Token);
        var submitted = (await platform.CliAsync(
            creator.Profile.Folder, "submit", scene, "--frames", "2", "--width", "64", "--height", "36", "--json")).Succeeded().Json;
        Assert.True(JobId.TryParse(submitted.GetProperty("jobId").GetString(), CultureInfo.InvariantCulture, out var jobId));
        (await platform.CliAsync(creator.Profile.Folder, "watch", jobId.ToString())).Succeeded();

        var trace = await Wait.ForAsync(
            () => creator.Jobs.GetTraceAsync(jobId, Token),
            trace => trace.IsSettled && Flat(trace.Spans).Count(span => span.Service == "agent" && span.Name == "run unit") == 2);

        HoldsEveryPart(trace);
        HasTheRightParents(trace);
        HoldsNothingOfTheScene(trace);
        await IsPrintedAsync(creator, jobId, trace);
        await IsNobodyElsesAsync(jobId);
        await LogsNameTheJobAsync(jobId, trace.TraceId!);
    }

    [Fact]
    public async Task The_five_budgets_are_histograms_for_who_has_the_metrics_token_and_no_public_route()
    {
        var creator = await platform.NewCreatorAsync("Tilo");
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, 2, Token);
        await foreach (var _ in creator.Jobs.SubmitAndWatchAsync(draft, null, Token))
        {
        }

        var ports = JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(platform.Data, "state.json"), Token)).GetProperty("ports");
        var metrics = new Uri($"http://127.0.0.1:{ports.GetProperty("scheduler.app").GetInt32()}/metrics");
        var token = await File.ReadAllTextAsync(Path.Combine(platform.Data, "keys", "metrics-token"), Token);
        var text = await Wait.ForAsync(
            async () => (await GetAsync(metrics, token)).Body,
            text => CountOf(text, "control_plane") > 0);

        Assert.All(new[] { "submit", "dispatch", "return", "ledger", "control_plane" }, name => Assert.True(CountOf(text, name) > 0, $"No figure of {name} in:\n{text}"));
        Assert.All(new[] { "0.005", "0.015", "0.05", "0.08", "0.215" }, bound => Assert.Contains($"le=\"{bound}\"", text, StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(metrics, null)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(new Uri(platform.Gateway, "/metrics"), token)).Status);
    }

    private static void HoldsEveryPart(JobTrace trace)
    {
        var parts = Flat(trace.Spans).Select(span => $"{span.Service}: {span.Name}").ToHashSet();
        Assert.All(
            [
                "client: submit", "client: seal job", "client: send job", "gateway: submit job", "sidecar: invoke scheduler", "scheduler: accept job", "scheduler: dispatch unit",
                "sidecar: invoke gateway", "hub: offer lease", "agent: run unit", "agent: open assets", "agent: run module", "agent: seal outputs", "agent: upload outputs",
                "hub: take result", "scheduler: accept result", "ledger: capture unit",
            ],
            part => Assert.True(parts.Contains(part), $"'{part}' is missing among: {string.Join("; ", parts.Order())}"));
    }

    private static void HasTheRightParents(JobTrace trace)
    {
        // One tree: whatever has a parent has it in this trace, and all hangs on the command.
        var root = Assert.Single(trace.Spans);
        Assert.Equal(("client", "submit", null), (root.Service, root.Name, root.ParentSpanId));
        var paths = Paths(trace.Spans, "").ToList();
        Assert.Contains(
            "client submit > client submit job > client send job > gateway POST /a2a > gateway submit job > sidecar invoke scheduler > scheduler POST /internal/jobs > scheduler accept job", paths);
        Assert.Equal(2, paths.Count(path => path.EndsWith(
            "scheduler accept job > scheduler dispatch unit > sidecar invoke gateway > gateway POST /internal/hub/leases > hub offer lease > agent run unit", StringComparison.Ordinal)));
        Assert.Equal(2, paths.Count(path => path.EndsWith(
            "agent run unit > hub take result > sidecar invoke scheduler > scheduler POST /internal/results > scheduler accept result > ledger capture unit", StringComparison.Ordinal)));
    }

    private static void HoldsNothingOfTheScene(JobTrace trace)
    {
        var text = JsonSerializer.Serialize(trace, WireJson.Options);
        Assert.All(
            new[] { "orrery", ".pov", "widthPixels", "clock", "frame", Environment.UserName + "/" },
            word => Assert.DoesNotContain(word, text, StringComparison.OrdinalIgnoreCase));
        Assert.All(Flat(trace.Spans).SelectMany(span => span.Attributes.Keys).Distinct(), key => Assert.True(
            key.StartsWith("rendertrust.", StringComparison.Ordinal) || key is "http.response.status_code" or "error.type", key));
    }

    private async Task IsPrintedAsync(RenderTrustClient creator, JobId jobId, JobTrace trace)
    {
        var printed = (await platform.CliAsync(creator.Profile.Folder, "jobs", "trace", jobId.ToString())).Succeeded().Output;
        TestContext.Current.TestOutputHelper?.WriteLine(printed);
        Assert.Contains(trace.TraceId!, printed, StringComparison.Ordinal);
        Assert.Contains("run module", printed, StringComparison.Ordinal);
        var json = (await platform.CliAsync(creator.Profile.Folder, "jobs", "trace", jobId.ToString(), "--json")).Succeeded().Json;
        Assert.Equal(trace.SpanCount, json.GetProperty("spanCount").GetInt32());
    }

    private async Task IsNobodyElsesAsync(JobId jobId)
    {
        var stranger = await platform.NewCreatorAsync("Tom", credits: 0);
        var unknown = JobId.New();

        var theirs = await Assert.ThrowsAsync<RenderTrustException>(() => stranger.Jobs.GetTraceAsync(jobId, Token));
        var nobodys = await Assert.ThrowsAsync<RenderTrustException>(() => stranger.Jobs.GetTraceAsync(unknown, Token));

        Assert.Equal(RenderTrustError.NotFound, theirs.Error);
        Assert.Equal(nobodys.Message.Replace(unknown.ToString(), "ID", StringComparison.Ordinal), theirs.Message.Replace(jobId.ToString(), "ID", StringComparison.Ordinal));
    }

    private async Task LogsNameTheJobAsync(JobId jobId, string traceId)
    {
        foreach (var service in new[] { "gateway", "scheduler" })
        {
            var lines = await ReadSharedAsync(Path.Combine(platform.Data, "logs", $"{service}.log"));
            var mine = lines.Where(line => line.StartsWith('{')).Select(line => JsonElement.Parse(line))
                .Where(line => line.TryGetProperty("jobId", out var job) && job.GetString() == jobId.ToString()).ToList();
            Assert.Contains(mine, line => line.GetProperty("traceId").GetString() == traceId);
        }
    }

    private static async Task<string[]> ReadSharedAsync(string file)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return (await reader.ReadToEndAsync(Token)).Split('\n');
    }

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(Uri address, string? token)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var response = await http.SendAsync(request, Token);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Token));
    }

    private static long CountOf(string metrics, string budget) => metrics.Split('\n')
        .Where(line => line.StartsWith($"rendertrust_budget_{budget}_seconds_count", StringComparison.Ordinal))
        .Select(line => long.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture)).FirstOrDefault();

    private static IEnumerable<string> Paths(IEnumerable<TraceSpan> spans, string above) =>
        spans.SelectMany(span => Paths(span.Children, $"{above}{span.Service} {span.Name} > ").Prepend($"{above}{span.Service} {span.Name}"));

    private static IEnumerable<TraceSpan> Flat(IEnumerable<TraceSpan> spans) => spans.SelectMany(span => Flat(span.Children).Prepend(span));
}
