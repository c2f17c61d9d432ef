using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>Jobs that must not be taken, or must fail with their cause. None of it is the platform's fault, so no answer is a 5xx.</summary>
public sealed class BadJobTests(PlatformFixture platform) : IAsyncLifetime
{
    private const int Chunk = 65_536 + 16;
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
    public async Task Without_credits_no_job_is_taken()
    {
        var poor = await platform.NewCreatorAsync("Poor", credits: 0.01m);
        var job = await RawJob.SealAsync(poor, Token);

        (await job.SubmitAsync(poor)).AssertRefused(-32602, "INSUFFICIENT_CREDITS", "120000", "10000", "top up");

        await AssertNothingHappenedAsync(poor);
    }

    [Fact]
    public async Task A_cap_below_the_price_is_refused_with_both_numbers()
    {
        var creator = await platform.NewCreatorAsync("Capped");
        var job = (await RawJob.SealAsync(creator, Token, units: 2)).With(spec => spec["capMicrocredits"] = 239_999);

        (await job.SubmitAsync(creator)).AssertRefused(-32602, "CAP_BELOW_PRICE", "240000", "239999", "raise the cap");

        await AssertNothingHappenedAsync(creator);
    }

    [Theory]
    [InlineData("povray@99.0.0")]
    [InlineData("nobody@1.0.0")]
    public async Task An_unknown_module_is_refused_by_its_name(string module)
    {
        var creator = await platform.NewCreatorAsync("Modules");
        var job = (await RawJob.SealAsync(creator, Token)).With(spec => spec["module"] = module);

        (await job.SubmitAsync(creator)).AssertRefused(-32602, "UNKNOWN_MODULE", module, "/v1/modules");

        await AssertNothingHappenedAsync(creator);
    }

    [Fact]
    public async Task Plaintext_is_taken_in_no_form_beside_a_spec()
    {
        var creator = await platform.NewCreatorAsync("Plain");
        var job = await RawJob.SealAsync(creator, Token);
        var scene = Convert.ToBase64String(Encoding.UTF8.GetBytes(Scenes.Ball));

        Task<Answer> BesideAsync(JsonObject part) => creator.CallAsync(A2AMethods.SendMessage, job.Message(part));
        (await BesideAsync(new JsonObject { ["text"] = "a sphere, please" })).AssertRefused(-32005, null, "message.parts[3]", "plain text", "sealed");
        (await BesideAsync(new JsonObject { ["raw"] = scene, ["mediaType"] = "text/x-pov", ["filename"] = "scene.pov" })).AssertRefused(-32005, null, "message.parts[3]", "text/x-pov", "seal");
        (await BesideAsync(new JsonObject { ["raw"] = scene, ["mediaType"] = MediaTypes.Sealed })).AssertRefused(-32005, null, "message.parts[3]", "not in the sealed format", "seal");
        (await BesideAsync(new JsonObject { ["url"] = "http://127.0.0.1:1/scene.pov", ["mediaType"] = "text/x-pov" })).AssertRefused(-32005, null, "message.parts[3]", "URL", "/v1/uploads");
        (await BesideAsync(new JsonObject { ["data"] = new JsonObject { ["prompt"] = "a sphere" }, ["mediaType"] = "application/json" })).AssertRefused(-32005, null, "message.parts[3]", "application/json");

        await AssertNothingHappenedAsync(creator);
    }

    [Fact]
    public async Task A_plaintext_file_is_not_taken_as_an_asset()
    {
        var creator = await platform.NewCreatorAsync("Naked");
        var plaintext = Encoding.UTF8.GetBytes(Scenes.Ball);
        var job = await RawJob.SealAsync(creator, Token, spoilAsset: _ => plaintext);

        (await job.SubmitAsync(creator)).AssertRefused(-32005, null, "message.parts[2]", "plaintext assets are refused", "seal");
        var (upload, path) = await TenancyTests.BeginUploadAsync(creator, plaintext);
        (await creator.SendAsync(
            HttpMethod.Patch, path + upload, Wire.Bytes(plaintext, "application/offset+octet-stream"), ("Tus-Resumable", "1.0.0"), ("Upload-Offset", "0"))).AssertProblem(415, "sealed");

        await AssertNothingHappenedAsync(creator);
    }

    [Theory]
    [InlineData("parameters")]
    [InlineData("prompt")]
    public async Task A_plaintext_parameter_in_the_spec_is_refused_by_its_name(string member)
    {
        var creator = await platform.NewCreatorAsync("Chatty");
        var job = (await RawJob.SealAsync(creator, Token)).With(spec => spec[member] = new JsonObject { ["scene"] = "secret.pov" });

        (await job.SubmitAsync(creator)).AssertRefused(-32602, null, member, "remove it", "sealed manifest");

        await AssertNothingHappenedAsync(creator);
    }

    [Fact]
    public async Task A_public_parameter_that_the_module_does_not_know_is_refused()
    {
        var creator = await platform.NewCreatorAsync("Public");
        var job = (await RawJob.SealAsync(creator, Token)).With(spec => spec["publicParameters"] = new JsonObject { ["scene"] = "secret.pov" });

        (await job.SubmitAsync(creator)).AssertRefused(-32602, "PUBLIC_PARAMETERS_INVALID", "publicParameters");

        await AssertNothingHappenedAsync(creator);
    }

    [Fact]
    public async Task What_was_altered_on_the_way_is_refused_at_the_door()
    {
        var creator = await platform.NewCreatorAsync("Altered");
        var job = await RawJob.SealAsync(creator, Token);

        (await (job with { Asset = Corrupted(job.Asset) }).SubmitAsync(creator)).AssertRefused(-32602, null, "message.parts[2].raw", "altered");
        (await (job with { Asset = job.Asset[..^20] }).SubmitAsync(creator)).AssertRefused(-32602, null, "message.parts[2].raw", "altered");
        (await (job with { Manifest = Corrupted(job.Manifest) }).SubmitAsync(creator)).AssertRefused(-32602, null, "message.parts[1].raw", "altered");
        (await job.With(spec => spec["assets"]![0]!["sizeBytes"] = 17).SubmitAsync(creator)).AssertRefused(-32602, null, "message.parts[2].raw", "17");
        (await creator.CallAsync(A2AMethods.SendMessage, RawJob.MessageOf([job.SpecPart(), RawJob.SealedPart(job.Manifest)]))).AssertRefused(-32602, "BLOB_MISSING", "assets[0]", "/v1/uploads");

        await AssertNothingHappenedAsync(creator);
    }

    [Theory]
    [InlineData("corrupted")]
    [InlineData("truncated")]
    [InlineData("reordered")]
    [InlineData("extended")]
    public async Task A_spoilt_envelope_fails_its_job_with_the_cause_and_costs_nothing(string how)
    {
        var creator = await platform.NewCreatorAsync("Spoilt");
        var job = await RawJob.SealAsync(creator, Token, fillBytes: 4 * 65_536, spoilAsset: how switch
        {
            "corrupted" => Corrupted,
            "truncated" => asset => asset[..^(Chunk + 100)],
            "reordered" => Reordered,
            _ => asset => [.. asset, .. asset[^Chunk..]],
        });

        var task = await job.AcceptedAsync(creator);
        var last = await JobTests.LastAsync(creator.Jobs.WatchAsync(task, Token));

        Assert.Equal(TaskState.Failed, last.State);
        Assert.Contains("asset_corrupt", last.Reason, StringComparison.Ordinal);
        var summary = await creator.Jobs.GetSummaryAsync(job.JobId, Token);
        Assert.Equal(0, summary.Money.ChargedMicrocredits);
        Assert.Equal(summary.Money.HeldMicrocredits, summary.Money.ReleasedMicrocredits);
        Assert.All(summary.Units.SelectMany(unit => unit.Attempts), attempt => Assert.Equal("asset_corrupt", attempt.FailureClass));
        await Books.AssertClosedAsync(platform, creator, job.JobId);
        Assert.Equal(100 * Pricing.MicrocreditsPerCredit, (await creator.Credits.GetBalanceAsync(Token)).AvailableMicrocredits);
    }

    [Fact]
    public async Task A_spoilt_manifest_fails_its_job_with_the_cause_and_costs_nothing()
    {
        var creator = await platform.NewCreatorAsync("Spoilt");
        var job = await RawJob.SealAsync(creator, Token, spoilManifest: Corrupted);

        var last = await JobTests.LastAsync(creator.Jobs.WatchAsync(await job.AcceptedAsync(creator), Token));

        Assert.Equal(TaskState.Failed, last.State);
        Assert.Contains("asset_corrupt", last.Reason, StringComparison.Ordinal);
        Assert.Equal(0, (await creator.Jobs.GetSummaryAsync(job.JobId, Token)).Money.ChargedMicrocredits);
        await Books.AssertClosedAsync(platform, creator, job.JobId);
    }

    [Fact]
    public async Task The_same_job_id_with_other_content_is_refused_and_with_the_same_it_is_the_same_task()
    {
        var creator = await platform.NewCreatorAsync("Twice");
        var job = await RawJob.SealAsync(creator, Token);
        var other = await RawJob.SealAsync(creator, Token, jobId: job.JobId);

        var task = await job.AcceptedAsync(creator);
        Assert.Equal(task, await job.AcceptedAsync(creator));
        (await other.SubmitAsync(creator)).AssertRefused(-32602, "CONFLICTING_CONTENT", job.JobId.ToString(), "new id");

        Assert.Equal(TaskState.Completed, (await JobTests.LastAsync(creator.Jobs.WatchAsync(task, Token))).State);
        (await other.SubmitAsync(creator)).AssertRefused(-32602, "CONFLICTING_CONTENT", job.JobId.ToString());
        Assert.Single((await creator.Jobs.ListAsync(null, Token)).Jobs);
        await Books.AssertClosedAsync(platform, creator, job.JobId);
    }

    [Theory]
    [InlineData("unitCount", 0)]
    [InlineData("unitCount", 100_001)]
    [InlineData("maxUnitDeviceSeconds", 0)]
    [InlineData("capMicrocredits", -5)]
    [InlineData("deadlineSeconds", 1)]
    [InlineData("module", "no module")]
    [InlineData("jobId", "not-a-guid")]
    [InlineData("grants", "none")]
    public async Task A_bad_member_of_the_spec_is_refused_by_its_path(string member, object value)
    {
        var creator = await platform.NewCreatorAsync("Typo");
        var job = (await RawJob.SealAsync(creator, Token)).With(spec => spec[member] = value is int number ? JsonValue.Create(number) : JsonValue.Create((string)value));

        (await job.SubmitAsync(creator)).AssertRefused(-32602, null, $"message.parts[0].data.{member}");

        await AssertNothingHappenedAsync(creator);
    }

    [Fact]
    public async Task Grants_that_let_nobody_open_all_of_it_are_refused_before_credits_are_held()
    {
        var creator = await platform.NewCreatorAsync("Lonely");
        var job = (await RawJob.SealAsync(creator, Token)).With(spec =>
        {
            // For every node that is enrolled: one left whole could run the job.
            var asset = spec["assets"]![0]!["assetId"]!.GetValue<string>();
            foreach (var grant in spec["grants"]!.AsArray().Where(grant => grant!["assetId"]!.GetValue<string>() == asset))
            {
                grant!["recipientKeyId"] = "AAAAAAAAAAAAAAAAAAAAAA";
            }
        });

        (await job.SubmitAsync(creator)).AssertRefused(-32602, "NO_ELIGIBLE_RECIPIENT", "grant", "wrap every set key");

        await AssertNothingHappenedAsync(creator);
    }

    internal static string Sha256Metadata(byte[] bytes) => "sha256 " + Convert.ToBase64String(Encoding.ASCII.GetBytes(RawJob.Sha256(bytes)));

    private static byte[] Corrupted(byte[] container)
    {
        var changed = container.ToArray();
        changed[^40] ^= 1;
        return changed;
    }

    /// <summary>Two whole chunks of one file change places; lengths and all bytes stay.</summary>
    private static byte[] Reordered(byte[] asset)
    {
        var changed = asset.ToArray();
        var first = asset.Length - (3 * Chunk);
        asset.AsSpan(first, Chunk).CopyTo(changed.AsSpan(first + Chunk));
        asset.AsSpan(first + Chunk, Chunk).CopyTo(changed.AsSpan(first));
        Assert.False(CryptographicOperations.FixedTimeEquals(asset, changed));
        return changed;
    }

    private static async Task AssertNothingHappenedAsync(RenderTrustClient creator)
    {
        Assert.Empty((await creator.Jobs.ListAsync(null, Token)).Jobs);
        Assert.Equal(0, (await creator.Credits.GetBalanceAsync(Token)).ReservedMicrocredits);
    }
}
