using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>The platform's own stores are changed behind its back. Neither nodes nor creators take what comes out of them.</summary>
public sealed class DishonestPlatformTests(PlatformFixture platform) : IAsyncLifetime
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await platform.StartAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_node_does_not_open_an_asset_that_was_changed_in_the_store()
    {
        var creator = await platform.NewCreatorAsync("Vera");
        var job = await RawJob.SealAsync(creator, Token, fillBytes: 200_000);
        var (upload, path) = await TenancyTests.BeginUploadAsync(creator, job.Asset);
        Assert.Equal(204, (await creator.SendAsync(
            HttpMethod.Patch, path + upload, Wire.Bytes(job.Asset, "application/offset+octet-stream"), ("Tus-Resumable", "1.0.0"), ("Upload-Offset", "0"))).Status);
        await FlipByteAsync(creator, RawJob.Sha256(job.Asset));

        var answer = await creator.CallAsync("SendMessage", RawJob.MessageOf([job.SpecPart(), RawJob.SealedPart(job.Manifest)]));
        var task = answer.Json.GetProperty("result").GetProperty("task").GetProperty("id").GetString()!;
        var last = await JobTests.LastAsync(creator.Jobs.WatchAsync(task, Token));

        Assert.Equal(TaskState.Failed, last.State);
        Assert.Contains("asset_corrupt", last.Reason, StringComparison.Ordinal);
        Assert.Equal(0, (await creator.Jobs.GetSummaryAsync(job.JobId, Token)).Money.ChargedMicrocredits);
        await Books.AssertClosedAsync(platform, creator, job.JobId);
    }

    [Fact]
    public async Task A_creator_does_not_open_an_output_that_was_changed_in_the_store()
    {
        var creator = await platform.NewCreatorAsync("Wanda");
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, 1, Token);
        var outputs = new List<RenderTrust.Contracts.UnitOutput>();
        await foreach (var update in creator.Jobs.SubmitAndWatchAsync(draft, null, Token))
        {
            outputs.AddRange(update.Outputs);
        }

        await FlipByteAsync(creator, Assert.Single(outputs).BlobSha256);
        var folder = platform.NewFolder("tampered");
        var refused = await Assert.ThrowsAsync<RenderTrustException>(async () =>
        {
            await foreach (var file in creator.Jobs.FetchAsync(draft.JobId, folder, Token))
            {
                Assert.Fail($"{file.FileName} was accepted.");
            }
        });

        Assert.Equal(RenderTrustError.CorruptedOutput, refused.Error);
        Assert.Empty(Directory.GetFiles(folder, "*", SearchOption.AllDirectories));
    }

    private async Task FlipByteAsync(RenderTrustClient creator, string sha256)
    {
        var file = Path.Combine(platform.Data, "blobs", "tenants", creator.Profile.Facts.TenantId.ToString(), sha256[..2], sha256);
        var bytes = await File.ReadAllBytesAsync(file, Token);
        bytes[^40] ^= 1;
        await File.WriteAllBytesAsync(file, bytes, Token);
    }
}
