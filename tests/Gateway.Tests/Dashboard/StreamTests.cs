using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.Dashboard;

public sealed class StreamTests : IAsyncLifetime
{
    private readonly TenantId _tenant = TenantId.New();
    private readonly JobId _job = JobId.New();
    private EdgeHost _host = null!;
    private BrowserClient _browser = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _host = await EdgeHost.StartAsync(
            ("Gateway:Dashboard:HeartbeatSeconds", "1"), ("Gateway:Dashboard:GatherMilliseconds", "10"), ("Gateway:Dashboard:FleetSeconds", "0.2"),
            ("Gateway:Dashboard:MaxStreamsPerSession", "3"), ("Gateway:A2A:TailFailureSeconds", "1"), ("Gateway:Auth:ApiKeyCacheSeconds", "1"));
        _browser = BrowserClient.SignedIn(_host, _tenant);
    }

    public async ValueTask DisposeAsync()
    {
        _browser.Dispose();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task A_page_first_loads_everything_and_then_hears_what_is_new_of_its_own_tenant()
    {
        await using var stream = await OpenAsync("");
        await stream.NextAsync("reset");

        Happen(1, JobEventKind.Submitted, TenantId.New());
        Happen(1, JobEventKind.Submitted);

        var change = Assert.Single((await stream.NextAsync("changes")).EnumerateArray());
        Assert.Equal((_job.ToString(), 1, "submitted"), (change.GetProperty("jobId").GetString(), change.GetProperty("seq").GetInt32(), change.GetProperty("kind").GetString()));
    }

    [Fact]
    public async Task Progress_is_told_of_the_job_that_is_watched_only()
    {
        await using var watching = await OpenAsync($"?job={_job}");
        await using var listing = await OpenAsync("");
        await watching.NextAsync("reset");
        await listing.NextAsync("reset");

        Happen(1, JobEventKind.UnitProgress);
        Happen(2, JobEventKind.UnitCompleted);

        Assert.Equal([1, 2], await watching.SeqsAsync(2));
        Assert.Equal([2], await listing.SeqsAsync(1));
    }

    [Fact]
    public async Task A_page_that_comes_back_hears_what_it_missed_once_and_in_order()
    {
        string? place;
        await using (var first = await OpenAsync($"?job={_job}"))
        {
            await first.NextAsync("reset");
            Happen(1, JobEventKind.Submitted);
            await first.SeqsAsync(1);
            place = first.LastEventId;
        }

        Happen(2, JobEventKind.UnitLeased);
        Happen(3, JobEventKind.UnitCompleted);
        await using var again = await OpenAsync($"?job={_job}", ("Last-Event-ID", place!));
        await using var byQuery = await OpenAsync($"?job={_job}&lastEventId={place}");

        await again.NextAsync("resumed");
        Assert.Equal([2, 3], await again.SeqsAsync(2));
        await byQuery.NextAsync("resumed");
        Assert.Equal([2, 3], await byQuery.SeqsAsync(2));
    }

    [Theory]
    [InlineData("0123456789ab.7")]
    [InlineData("nonsense")]
    public async Task A_place_that_nobody_knows_begins_anew(string place)
    {
        await using var stream = await OpenAsync("", ("Last-Event-ID", place));

        await stream.NextAsync("reset");
    }

    [Fact]
    public async Task A_log_that_was_restored_from_a_backup_makes_pages_load_anew()
    {
        await using var stream = await OpenAsync("");
        await stream.NextAsync("reset");

        _host.Sidecar.Scheduler.RestoreLog();
        Happen(1, JobEventKind.Submitted);

        await stream.NextAsync("reset");
    }

    [Fact]
    public async Task An_outage_of_the_job_log_is_said_and_so_is_its_end()
    {
        await using var stream = await OpenAsync("");
        await stream.NextAsync("reset");

        _host.Sidecar.Scheduler.IsTailDown = true;
        await stream.NextAsync("stale");
        _host.Sidecar.Scheduler.IsTailDown = false;
        await stream.NextAsync("fresh");
        Happen(1, JobEventKind.Submitted);

        Assert.Equal([1], await stream.SeqsAsync(1));
    }

    [Fact]
    public async Task The_fleet_is_told_when_it_changes_and_asked_for_once_for_all_who_look()
    {
        _host.Sidecar.Scheduler.Nodes[_tenant.ToString()] = [Node("online")];
        await using var one = await OpenAsync("?fleet=true");
        await using var two = await OpenAsync("?fleet=true");
        Assert.Equal("online", StatusOf(await one.NextAsync("fleet")));
        Assert.Equal("online", StatusOf(await two.NextAsync("fleet")));
        var reads = _host.Sidecar.Scheduler.NodeReads;

        _host.Sidecar.Scheduler.Nodes[_tenant.ToString()] = [Node("lost")];

        Assert.Equal("lost", StatusOf(await one.NextAsync("fleet")));
        Assert.Equal("lost", StatusOf(await two.NextAsync("fleet")));
        Assert.InRange(reads, 1, 3);
    }

    [Fact]
    public async Task A_stream_ends_with_its_session()
    {
        await using var stream = await OpenAsync("");
        await stream.NextAsync("reset");

        _host.Sidecar.Sessions.Clear();

        await stream.NextAsync("ended");
    }

    [Fact]
    public async Task A_session_has_so_many_streams_and_gets_another_when_one_is_closed()
    {
        await using var first = await OpenAsync("");
        await first.NextAsync("reset");
        await using var other = await OpenAsync("");
        await other.NextAsync("reset");
        await using (var second = await OpenAsync(""))
        {
            await second.NextAsync("reset");
            using var oneMore = await _browser.SendAsync(HttpMethod.Get, "/dashboard/api/changes");
            Assert.Equal(HttpStatusCode.TooManyRequests, oneMore.StatusCode);
        }

        await Wait.ForAsync(
            async () =>
            {
                using var next = await _browser.SendAsync(HttpMethod.Get, "/dashboard/api/changes");
                return next.StatusCode;
            },
            status => status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_stream_needs_a_browser_that_is_signed_in()
    {
        using var nobody = new BrowserClient(_host);

        using var response = await nobody.SendAsync(HttpMethod.Get, "/dashboard/api/changes");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    private void Happen(long seq, JobEventKind kind, TenantId? tenant = null) => _host.Sidecar.Scheduler.Append(
        new JobEvent(TaskId.New(), _job, tenant ?? _tenant, "context", seq, kind, DateTimeOffset.UtcNow, new JobEventBody(UnitIndex: 0)));

    private async Task<Stream> OpenAsync(string query, params (string Name, string Value)[] headers)
    {
        var response = await _browser.SendAsync(HttpMethod.Get, "/dashboard/api/changes" + query, headers: headers);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return new Stream(response, await response.Content.ReadAsStreamAsync(Token));
    }

    private static NodeListItem Node(string status) => new(NodeId.Create(Guid.Empty), "node-1", status, null, 0, null, "key");

    private static string? StatusOf(JsonElement fleet) => fleet.GetProperty("nodes")[0].GetProperty("status").GetString();

    /// <summary>Read with the framework's own parser, which knows nothing of how we write.</summary>
    private sealed class Stream(HttpResponseMessage response, System.IO.Stream body) : IAsyncDisposable
    {
        private readonly IAsyncEnumerator<SseItem<string>> _events = SseParser.Create(body).EnumerateAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator();

        public string? LastEventId { get; private set; }

        /// <summary>The next event of that name; others in between are passed over.</summary>
        public async Task<JsonElement> NextAsync(string name)
        {
            while (await _events.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token))
            {
                LastEventId = _events.Current.EventId ?? LastEventId;
                if (_events.Current.EventType == name)
                {
                    return JsonElement.Parse(_events.Current.Data);
                }
            }

            throw new InvalidOperationException($"The stream ended before '{name}'.");
        }

        public async Task<IReadOnlyList<long>> SeqsAsync(int many)
        {
            var seqs = new List<long>();
            while (seqs.Count < many)
            {
                seqs.AddRange((await NextAsync("changes")).EnumerateArray().Select(change => change.GetProperty("seq").GetInt64()));
            }

            return seqs;
        }

        public ValueTask DisposeAsync()
        {
            response.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
