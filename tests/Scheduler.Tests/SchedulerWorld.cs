using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.TestKit;

namespace RenderTrust.Scheduler.Tests;

/// <summary>A node as the hub would present it.</summary>
internal sealed record TestNode(NodeId NodeId, TenantId Owner, string Name, string KeyId, string HubAppId, long Epoch, IReadOnlyList<AttemptId> LiveAttempts);

/// <summary>The whole scheduler on a real listener, over a real Postgres with the ledger's real functions; neighbours faked at the HTTP boundary.</summary>
public sealed class SchedulerWorld : IAsyncDisposable
{
    public const string Module = "povray@1.0.0";
    private readonly TestDatabase database;
    private readonly HttpClient http;
    private readonly WebApplication app;
    private readonly LedgerPoster poster;

    private SchedulerWorld(TestDatabase database, FakeNeighbours neighbours, WebApplication app)
    {
        this.database = database;
        Neighbours = neighbours;
        this.app = app;
        http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        neighbours.Scheduler = http.BaseAddress;
        Db = database.DataSourceFor("scheduler");
        Admin = database.Admin();
        poster = new LedgerPoster(database.ConnectionStringFor("ledger"));
    }

    internal FakeNeighbours Neighbours { get; }

    internal IServiceProvider Services => app.Services;

    /// <summary>The engine under the sagas, unless the test brought another.</summary>
    internal InProcessSagas Sagas => Services.GetRequiredService<InProcessSagas>();

    /// <summary>As the scheduler's own role.</summary>
    public NpgsqlDataSource Db { get; }

    public NpgsqlDataSource Admin { get; }

    internal TenantId Developer { get; } = TenantId.New();

    internal static async Task<SchedulerWorld> StartAsync(
        TestDatabase database, Dictionary<string, string?>? settings = null, Action<IServiceCollection>? services = null)
    {
        await database.MigrateAsync("ledger", Assembly.Load("RenderTrust.Ledger"));
        var neighbours = await FakeNeighbours.StartAsync();
        var app = SchedulerHost.Build([], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["APP_PORT"] = "0", ["APP_API_TOKEN"] = FakeNeighbours.ApiToken, ["DAPR_HTTP_PORT"] = new Uri(neighbours.Address).Port.ToString(),
                ["RENDERTRUST_ENVIRONMENT"] = "Production", ["ConnectionStrings:Postgres"] = database.ConnectionStringFor("scheduler"),
                ["Scheduler:PollSeconds"] = "0.2", ["Scheduler:Saga:StartDelaySeconds"] = "0.1", ["Logging:LogLevel:RenderTrust.Scheduler"] = "Warning",
            });
            builder.Configuration.AddInMemoryCollection(settings ?? []);
            builder.Services.AddSingleton<InProcessSagas>();
            if (services is null)
            {
                builder.Services.AddSingleton<IJobSagaEngine>(provider => provider.GetRequiredService<InProcessSagas>());
            }
            else
            {
                services(builder.Services);
            }
        });
        await app.StartAsync();
        var world = new SchedulerWorld(database, neighbours, app);
        // For the tests' own SQL: what the creator calls a job, to the key that the tables know it by; a key stays as it is.
        await using (var keyOf = world.Admin.CreateCommand(
            """
            CREATE OR REPLACE FUNCTION public.key_of(id uuid) RETURNS uuid LANGUAGE sql STABLE AS
            'SELECT coalesce((SELECT job_id FROM scheduler.jobs WHERE client_job_id = id LIMIT 1), id)';
            GRANT USAGE ON SCHEMA public TO PUBLIC;
            GRANT SELECT ON scheduler.jobs TO PUBLIC;
            """))
        {
            await keyOf.ExecuteNonQueryAsync();
        }

        neighbours.Modules[Module] = world.ModuleOf(Module);
        return world;
    }

    internal ModuleVersion ModuleOf(string reference, long rate = 100_000, DeviceKind kind = DeviceKind.Cpu) => new(
        reference.Split('@')[0], reference.Split('@')[1], "Title", "Description", Developer, rate,
        new ModuleRuntime("127.0.0.1:5000/m", "sha256:" + new string('a', 64), kind, 256, 64, 16, 16, 1), null, null, null, [], [], DateTimeOffset.UnixEpoch);

    internal async Task TopUpAsync(TenantId tenant, long amount)
    {
        await using var find = Admin.CreateCommand("SELECT proname FROM pg_proc WHERE proname IN ('top_up', 'top_up_v1') AND pronamespace = 'ledger'::regnamespace");
        var function = (string)(await find.ExecuteScalarAsync())!;
        await using var ledger = NpgsqlDataSource.Create(database.ConnectionStringFor("ledger"));
        await using var command = ledger.CreateCommand(function == "top_up" ? "SELECT top_up($1, $2, $3, now())" : "SELECT top_up_v1($1, $2, $3, 'issuance:development')");
        command.Parameters.Add(new() { Value = Guid.CreateVersion7() });
        command.Parameters.Add(new() { Value = tenant.Value });
        command.Parameters.Add(new() { Value = amount });
        Assert.Equal("created", await command.ExecuteScalarAsync());
    }

    internal async Task<TenantId> CreatorAsync(long amount = 1_000_000_000)
    {
        var tenant = TenantId.New();
        await TopUpAsync(tenant, amount);
        return tenant;
    }

    internal async Task<TestNode> NodeAsync(
        string name = "node-1", int slots = 2, string runner = "bubblewrap", DeviceKind kind = DeviceKind.Cpu, TenantId? owner = null, NodeId? id = null, string? keyId = null,
        IReadOnlyList<AttemptId>? running = null, long scratch = 1L << 30, long memory = 1L << 32)
    {
        var nodeId = id ?? NodeId.New();
        var key = keyId ?? $"key-{nodeId}";
        var tenant = owner ?? TenantId.New();
        var request = new OpenNodeSessionRequest(
            nodeId, tenant, name, key, "hub-1", new NodeCapabilities(kind, slots, 4, memory, scratch, runner, true, true, "1.0.0"), running);
        var response = await PostAsync<OpenNodeSessionRequest, OpenNodeSessionResponse>("/internal/node-sessions", request);
        return new TestNode(nodeId, tenant, name, key, "hub-1", response.Epoch, response.LiveAttempts);
    }

    internal static JobSpec Spec(IEnumerable<TestNode> recipients, int units = 2, JobId? jobId = null, int seconds = 60, long cap = 1_000_000_000, string module = Module, int deadline = 3600, string? manifestSha = null)
    {
        var manifest = new AssetRef(Guid.CreateVersion7(), manifestSha ?? Convert.ToHexStringLower(Guid.CreateVersion7().ToByteArray().Concat(Guid.CreateVersion7().ToByteArray()).ToArray()), 1000);
        var asset = new AssetRef(Guid.CreateVersion7(), new string('b', 64), 2000);
        var grants = recipients.SelectMany(node => new[] { manifest, asset }.Select(a => new AssetGrant(a.AssetId, node.KeyId, new byte[65], new byte[48]))).ToList();
        return new JobSpec(jobId ?? JobId.New(), module, manifest, units, seconds, cap, deadline, [asset], grants);
    }

    internal Task<SubmitJobResponse> SubmitAsync(TenantId tenant, JobSpec spec) =>
        PostAsync<SubmitJobRequest, SubmitJobResponse>("/internal/jobs", new SubmitJobRequest(tenant, "context", spec, DateTimeOffset.UtcNow));

    internal Task<UnitResultResponse> ReportAsync(LeaseOffer offer, bool succeeded = true, long metered = 1000, string? failureClass = null, long? token = null) =>
        PostAsync<UnitResultReport, UnitResultResponse>("/internal/results", new UnitResultReport(
            offer.NodeId, offer.Epoch, offer.AttemptId, token ?? offer.FencingToken, succeeded, metered,
            succeeded ? [new UnitOutput(Guid.CreateVersion7(), new string('c', 64), 10, new string('d', 64), [])] : [],
            failureClass, succeeded ? null : "it broke", DateTimeOffset.UtcNow));

    internal async Task<TaskLog?> TaskAsync(TaskId taskId, TenantId tenant)
    {
        using var response = await SendAsync(HttpMethod.Get, $"/internal/tasks/{taskId}?tenantId={tenant}");
        return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<TaskLog>(WireJson.Options) : null;
    }

    internal async Task<JobSummary?> JobAsync(JobId jobId, TenantId tenant)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/jobs/{jobId}");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Neighbours.Token(tenant));
        using var response = await http.SendAsync(request);
        return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<JobSummary>(WireJson.Options) : null;
    }

    internal Task<CancelTaskResponse> CancelAsync(TaskId taskId, TenantId tenant) =>
        PostAsync<CancelTaskRequest, CancelTaskResponse>($"/internal/tasks/{taskId}/cancel", new CancelTaskRequest(tenant, "no longer needed"));

    internal async Task HeartbeatAsync(params TestNode[] nodes)
    {
        using var response = await SendAsync(HttpMethod.Post, "/internal/node-heartbeats", new NodeHeartbeatBatch(
            "hub-1", [.. nodes.Select(node => new NodeHeartbeat(node.NodeId, node.Epoch, DateTimeOffset.UtcNow, 2, 0))]));
        response.EnsureSuccessStatusCode();
    }

    /// <summary>For the next test of a class: whatever an earlier one made the hub answer, it acknowledges offers again.</summary>
    internal SchedulerWorld Fresh()
    {
        Neighbours.OnOffer = FakeNeighbours.Acknowledge;
        return this;
    }

    /// <summary>Runs every offered unit to a good end, as the hub and its nodes would.</summary>
    internal void AnswerWithResults(long metered = 1000) =>
        Neighbours.OnOffer = offer =>
        {
            _ = Task.Run(() => ReportAsync(offer, metered: metered));
            return Task.FromResult(new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, 1, null));
        };

    internal async Task<TResponse> PostAsync<TRequest, TResponse>(string path, TRequest body)
    {
        using var response = await SendAsync(HttpMethod.Post, path, body);
        Assert.True(response.IsSuccessStatusCode, $"{path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        return (await response.Content.ReadFromJsonAsync<TResponse>(WireJson.Options))!;
    }

    internal async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, object? body = null, string? caller = Apps.Gateway, string? token = FakeNeighbours.ApiToken, string? bearer = null,
        IReadOnlyList<(string Name, string Value)>? headers = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = body is string text
                ? new StringContent(text, System.Text.Encoding.UTF8, "application/json")
                : JsonContent.Create(body, body.GetType(), options: WireJson.Options);
        }

        if (token is not null)
        {
            request.Headers.Add("dapr-api-token", token);
        }

        if (caller is not null)
        {
            request.Headers.Add("dapr-caller-app-id", caller);
        }

        if (bearer is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        }

        foreach (var (name, value) in headers ?? [])
        {
            request.Headers.Add(name, value);
        }

        return await http.SendAsync(request);
    }

    public async Task<T> ScalarAsync<T>(string sql, params object[] values)
    {
        await using var command = Admin.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Polls a condition; the failure says what was waited for and what was seen last.</summary>
    public static async Task<T> UntilAsync<T>(string what, Func<Task<T>> look, Func<T, bool> done, int seconds = 20)
    {
        var started = Stopwatch.StartNew();
        while (true)
        {
            var seen = await look();
            if (done(seen))
            {
                return seen;
            }

            Assert.True(started.Elapsed.TotalSeconds < seconds, $"Waited {seconds} s for {what}; saw {seen}");
            await Task.Delay(10);
        }
    }

    internal Task<JobSummary> EndedAsync(JobId jobId, TenantId tenant) =>
        UntilAsync("the job to end", async () => (await JobAsync(jobId, tenant))!, job => job.EndedAt is not null);

    internal Task<LeaseOffer[]> OffersAsync(JobId jobId, int count) =>
        UntilAsync($"{count} offers", () => Task.FromResult(Neighbours.Offers.Where(offer => offer.JobId == jobId).ToArray()), offers => offers.Length >= count);

    /// <summary>The offer's attempt as the table has it, once it runs.</summary>
    internal Task RunningAsync(LeaseOffer offer) =>
        UntilAsync("the attempt to run", () => StatusAsync(offer.AttemptId), status => status == "running");

    internal Task<string> StatusAsync(AttemptId attemptId) => ScalarAsync<string>("SELECT status FROM scheduler.attempts WHERE attempt_id = $1", attemptId.Value);

    internal async Task<SubmitJobResponse> AcceptedAsync(TenantId tenant, JobSpec spec)
    {
        var response = await SubmitAsync(tenant, spec);
        Assert.Equal(SubmitOutcome.Accepted, response.Outcome);
        return response;
    }

    internal Task<long> AvailableAsync(TenantId tenant) => ScalarAsync<long>("SELECT coalesce((SELECT posted_balance - held FROM ledger.accounts WHERE account = $1), 0)::bigint", $"creator:{tenant}");

    /// <summary>What the ledger has captured for the job, straight from its table.</summary>
    internal Task<long> CapturedAsync(JobId jobId) =>
        ScalarAsync<long>("SELECT coalesce((SELECT captured FROM ledger.hold_money_v1(public.key_of($1))), -1)", jobId.Value);

    /// <summary>The same for what the tables call the job.</summary>
    internal Task<long> CapturedOfKeyAsync(JobId key) => ScalarAsync<long>("SELECT coalesce((SELECT captured FROM ledger.hold_money_v1($1)), -1)", key.Value);

    /// <summary>As if nodes had failed the first so many units all at the same time; none of them has a node.</summary>
    internal async Task FailAllUnitsAsync(JobId key, int units) =>
        Assert.Equal(units, await ScalarAsync<long>(
            """
            WITH units AS (
                UPDATE scheduler.units SET status = 'undecided', attempt_count = 1 WHERE job_id = $1 AND unit_index < $2 RETURNING unit_index, gen_random_uuid() AS attempt_id),
            pending AS (DELETE FROM scheduler.pending_units WHERE job_id = $1 AND unit_index < $2),
            told AS (
                INSERT INTO scheduler.saga_signals (signal_id, job_id, kind, body, due_at)
                SELECT $1::text || '/' || unit_index || '/' || attempt_id || '/failed', $1, 'unitFailed', jsonb_build_object(
                    'unitIndex', unit_index, 'attemptId', attempt_id, 'attemptNumber', 1, 'failureClass', 'module_failed', 'reason', 'it broke',
                    'failedNodes', 1, 'failuresPerUnit', 2, 'anotherNodeCouldRun', true, 'overflowAllowed', false, 'lane', 'fleet'), now()
                FROM units RETURNING 1)
            SELECT count(*) FROM told
            """,
            key.Value, units));

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await app.StopAsync(CancellationToken.None);
        await app.DisposeAsync();
        await poster.DisposeAsync();
        await Neighbours.DisposeAsync();
    }
}
