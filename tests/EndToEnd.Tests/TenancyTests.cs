using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>
/// A stranger asks every route that takes an id for the real ids of another tenant. The answers must equal those for ids that never existed:
/// an answer that differs tells that the thing is there.
/// </summary>
public sealed class TenancyTests(PlatformFixture platform) : IAsyncLifetime
{
    private int _faultsBefore;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await platform.StartAsync();
        _faultsBefore = platform.Faults.Count;
    }

    public ValueTask DisposeAsync()
    {
        Assert.Empty(platform.Faults.Skip(_faultsBefore));
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Another_tenants_jobs_and_tasks_look_as_if_they_did_not_exist()
    {
        var (owner, stranger) = (await platform.NewCreatorAsync("Owner"), await platform.NewCreatorAsync("Stranger"));
        var job = await RawJob.SealAsync(owner, Token);
        var task = await job.AcceptedAsync(owner);
        await JobTests.LastAsync(owner.Jobs.WatchAsync(task, Token));
        var (jobId, noJob, noTask) = (job.JobId.ToString(), JobId.New().ToString(), Guid.NewGuid().ToString());

        // The control: for the owner each of these is there.
        Assert.Equal(200, (await owner.SendAsync(HttpMethod.Get, $"/v1/jobs/{jobId}")).Status);
        Assert.True((await owner.CallAsync("GetTask", Id(task))).Json.TryGetProperty("result", out _));

        await AssertSameAsync(jobId, noJob, id => stranger.SendAsync(HttpMethod.Get, $"/v1/jobs/{id}"), 404);
        await AssertSameAsync(jobId, noJob, id => stranger.SendAsync(HttpMethod.Get, $"/v1/credits/entries?jobId={id}"), null);
        foreach (var method in (string[])["GetTask", "CancelTask", "SubscribeToTask"])
        {
            (await AssertSameAsync(task, noTask, id => stranger.CallAsync(method, Id(id)), 200)).AssertRefused(-32001, "TASK_NOT_FOUND", task);
        }

        var followUp = RawJob.MessageOf([new JsonObject { ["text"] = "faster, please" }]);
        (await AssertSameAsync(
            task, noTask,
            id =>
            {
                followUp["message"]!["taskId"] = id;
                return stranger.CallAsync("SendMessage", followUp);
            },
            200)).AssertRefused(-32001, "TASK_NOT_FOUND");
        Assert.DoesNotContain(jobId, (await stranger.SendAsync(HttpMethod.Get, "/v1/jobs")).Body, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(JobStatus.Completed, (await owner.Jobs.GetSummaryAsync(job.JobId, Token)).Status);
    }

    [Fact]
    public async Task A_strangers_cancel_does_not_touch_a_running_job()
    {
        var (owner, stranger) = (await platform.NewCreatorAsync("Owner"), await platform.NewCreatorAsync("Stranger"));
        var submitted = await owner.Jobs.SubmitAsync(await Scenes.DraftAsync(owner, Scenes.Slow, 2, Token), null, Token);

        await AssertSameAsync(submitted.TaskId, Guid.NewGuid().ToString(), id => stranger.CallAsync("CancelTask", Id(id)), 200);
        await AssertSameAsync(submitted.TaskId, Guid.NewGuid().ToString(), id => stranger.CallAsync("SubscribeToTask", Id(id)), 200);

        Assert.Equal(TaskState.Completed, (await JobTests.LastAsync(owner.Jobs.WatchAsync(submitted.TaskId, Token))).State);
    }

    [Fact]
    public async Task Another_tenants_blobs_and_uploads_look_as_if_they_did_not_exist()
    {
        var (owner, stranger) = (await platform.NewCreatorAsync("Owner"), await platform.NewCreatorAsync("Stranger"));
        var job = await RawJob.SealAsync(owner, Token, fillBytes: 300_000);
        var (blob, noBlob) = (RawJob.Sha256(job.Asset), new string('0', 60) + "beef");
        var (upload, path) = await BeginUploadAsync(owner, job.Asset);
        await JobTests.LastAsync(owner.Jobs.WatchAsync(await job.AcceptedAsync(owner), Token));
        var noUpload = Guid.CreateVersion7().ToString(upload.Contains('-', StringComparison.Ordinal) ? "D" : "N");
        string[] tus = ["Tus-Resumable", "1.0.0"];

        Assert.Equal(200, (await owner.SendAsync(HttpMethod.Get, $"/v1/blobs/{blob}")).Status);
        Assert.Equal(200, (await owner.SendAsync(HttpMethod.Head, path + upload, null, (tus[0], tus[1]))).Status);

        await AssertSameAsync(blob, noBlob, id => stranger.SendAsync(HttpMethod.Get, $"/v1/blobs/{id}"), 404);
        await AssertSameAsync(blob, noBlob, id => stranger.SendAsync(HttpMethod.Head, $"/v1/blobs/{id}"), 404);
        await AssertSameAsync(blob, noBlob, id => stranger.SendAsync(HttpMethod.Get, $"/v1/blobs/{id}", null, ("Range", "bytes=0-9")), 404);
        await AssertSameAsync(upload, noUpload, id => stranger.SendAsync(HttpMethod.Head, path + id, null, (tus[0], tus[1])), 404);
        await AssertSameAsync(
            upload, noUpload, id => stranger.SendAsync(HttpMethod.Patch, path + id, Wire.Bytes(job.Asset[..1000], "application/offset+octet-stream"), (tus[0], tus[1]), ("Upload-Offset", "0")), 404);
        await AssertSameAsync(upload, noUpload, id => stranger.SendAsync(HttpMethod.Delete, path + id, null, (tus[0], tus[1])), 404);

        // A job that names the other tenant's blob by its hash does not get it either.
        var thief = await RawJob.SealAsync(stranger, Token);
        await AssertSameAsync(
            blob, noBlob,
            id =>
            {
                var stolen = thief.With(spec =>
                {
                    spec["assets"]![0]!["blobSha256"] = id;
                    spec["assets"]![0]!["sizeBytes"] = job.Asset.Length;
                });
                return stranger.CallAsync("SendMessage", RawJob.MessageOf([stolen.SpecPart(), RawJob.SealedPart(stolen.Manifest)]));
            },
            200);
        Assert.Equal(200, (await owner.SendAsync(HttpMethod.Head, path + upload, null, (tus[0], tus[1]))).Status);
    }

    [Fact]
    public async Task Another_tenants_keys_and_devices_look_as_if_they_did_not_exist()
    {
        var (owner, stranger) = (await platform.NewCreatorAsync("Owner"), await platform.NewCreatorAsync("Stranger"));
        var key = await owner.Identity.CreateApiKeyAsync(new CreateApiKeyRequest("mine", ["jobs"]), Token);

        await AssertSameAsync(key.ApiKeyId.ToString(), Guid.NewGuid().ToString(), id => stranger.SendAsync(HttpMethod.Delete, $"/v1/identity/api-keys/{id}"), 404);
        await AssertSameAsync(
            owner.Profile.Facts.DeviceId.ToString(), Guid.NewGuid().ToString(), id => stranger.SendAsync(HttpMethod.Delete, $"/v1/identity/devices/{id}"), 404);

        Assert.Empty((await stranger.Identity.ListApiKeysAsync(Token)).ApiKeys);
        Assert.DoesNotContain(owner.Profile.Facts.DeviceId.ToString(), (await stranger.SendAsync(HttpMethod.Get, "/v1/identity/devices")).Body, StringComparison.Ordinal);
        Assert.False(Assert.Single((await owner.Identity.ListApiKeysAsync(Token)).ApiKeys).Revoked);
        Assert.Equal("Owner", (await owner.Identity.GetMeAsync(Token)).DisplayName);
    }

    [Fact]
    public async Task A_stranger_sees_no_nodes_of_others_and_may_not_publish_under_their_names()
    {
        var stranger = await platform.NewCreatorAsync("Stranger");
        var studio = platform.OpenStudio();
        var node = Assert.Single((await studio.ListNodesAsync(Token)).Nodes, node => node.Name == "node-1");
        var povray = await Scenes.PovrayAsync(stranger, Token);

        Assert.Empty((await stranger.ListNodesAsync(Token)).Nodes);
        await AssertSameAsync(node.NodeId.ToString(), Guid.NewGuid().ToString(), id => stranger.SendAsync(HttpMethod.Get, $"/v1/nodes/{id}"), 404);
        await AssertSameAsync(node.NodeId.ToString(), Guid.NewGuid().ToString(), id => stranger.SendAsync(HttpMethod.Delete, $"/v1/nodes/{id}"), null);
        var refused = await Assert.ThrowsAsync<RenderTrustException>(() => stranger.Modules.PublishAsync(
            new PublishModuleRequest(
                "povray", "9.0.0", povray.Title, povray.Description, povray.RatePerMinuteMicrocredits, povray.Runtime, null, povray.ParametersSchema, povray.UnitParametersSchema),
            Token));
        Assert.Equal(RenderTrustError.Forbidden, refused.Error);
    }

    /// <summary>The answers for the real id and for one that never was, equal in status, headers and body.</summary>
    private static async Task<Answer> AssertSameAsync(string real, string random, Func<string, Task<Answer>> askAsync, int? status)
    {
        var forReal = await askAsync(real);
        Assert.Equal((await askAsync(random)).Without(random), forReal.Without(real));
        if (status is { } expected)
        {
            Assert.True(expected == forReal.Status, forReal.ToString());
        }

        return forReal;
    }

    private static JsonObject Id(string id) => new() { ["id"] = id };

    internal static async Task<(string Id, string Path)> BeginUploadAsync(RenderTrustClient creator, byte[] bytes)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/uploads");
        request.Headers.Add("Tus-Resumable", "1.0.0");
        request.Headers.Add("Upload-Length", $"{bytes.Length}");
        request.Headers.Add("Upload-Metadata", BadJobTests.Sha256Metadata(bytes));
        using var response = await creator.Http.SendAsync(request, Token);
        Assert.Equal(201, (int)response.StatusCode);
        var location = new Uri(creator.Profile.Facts.GatewayUrl, response.Headers.Location!).AbsolutePath;
        var cut = location.LastIndexOf('/') + 1;
        return (location[cut..], location[..cut]);
    }
}
