using System.Text;
using RenderTrust.EdgeProtocol;
using RenderTrust.Sealing;

namespace RenderTrust.Agent.Tests.Nodes;

public sealed class RunUnitTests : NodeTest
{
    [Fact]
    public async Task A_unit_goes_from_lease_to_outputs_that_only_the_creator_opens()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);

        var ack = await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.True(ack.Accepted, ack.Reason);
        Assert.True(result.Succeeded, result.FailureReason);
        Assert.True(result.MeteredMilliseconds > 0);
        var (path, content) = job.OpenOutput(Hub, Assert.Single(result.Outputs));
        Assert.Equal("unit_0000.txt", path);
        Assert.StartsWith("simulated output", Encoding.UTF8.GetString(content), StringComparison.Ordinal);
        await Wait.ForAsync(() => !Directory.EnumerateDirectories(Path.Combine(State, "outbox")).Any(), "the outbox to forget an acknowledged result");
    }

    [Fact]
    public async Task What_was_done_for_a_traced_attempt_comes_back_with_its_result_under_the_offers_span()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);
        var offer = job.Offer();
        offer.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

        await session.OfferAsync(offer);
        var result = await session.NextResultAsync();

        var spans = result.Spans.ToDictionary(span => span.Name);
        Assert.Equal(["open assets", "prepare image", "run module", "run unit", "seal outputs", "upload outputs"], spans.Keys.Order(StringComparer.Ordinal));
        var unit = spans["run unit"];
        Assert.Equal("b7ad6b7169203331", unit.ParentSpanId);
        Assert.Equal($"00-0af7651916cd43dd8448eb211c80319c-{unit.SpanId}-01", result.TraceParent);
        Assert.All(spans.Values.Where(span => span != unit), span => Assert.Equal(unit.SpanId, span.ParentSpanId));
        Assert.All(spans.Values, span => Assert.All(span.Attributes, pair => Assert.True(pair.Key.StartsWith("rendertrust.", StringComparison.Ordinal) || pair.Key == "error.type", pair.Key)));
        Assert.Equal("1", spans["seal outputs"].Attributes["rendertrust.count"]);
    }

    [Fact]
    public async Task An_attempt_that_is_not_traced_brings_no_spans()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);

        await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.Empty(result.Spans);
        Assert.Empty(result.TraceParent);
    }

    [Fact]
    public async Task Capabilities_are_said_with_the_first_frame_and_heartbeats_carry_the_epoch()
    {
        var session = await StartNodeAsync();

        Assert.Equal("simulate", session.Hello.Capabilities.Runner);
        Assert.Equal(2, session.Hello.Capabilities.Slots);
        Assert.True(session.Hello.Capabilities.ScratchBytes > 0);
        await Wait.ForAsync(() => session.Heartbeats.Count >= 2, "two heartbeats");
        Assert.All(session.Heartbeats, heartbeat => Assert.Equal(session.Epoch, heartbeat.Epoch));
    }

    [Fact]
    public async Task Units_of_one_job_fetch_its_assets_once()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, units: 8);

        for (var unit = 0; unit < 8; unit += 2)
        {
            await session.OfferAsync(job.Offer(unit, token: unit + 1, slot: 0));
            await session.OfferAsync(job.Offer(unit + 1, token: unit + 2, slot: 1));
            Assert.True((await session.NextResultAsync()).Succeeded);
            Assert.True((await session.NextResultAsync()).Succeeded);
        }

        Assert.Equal(2, Hub.Fetched.Count);
    }

    [Fact]
    public async Task An_idle_job_is_wiped_from_scratch()
    {
        var session = await StartNodeAsync(options => options.JobCacheIdleSeconds = 1);
        using var job = new TestJob(Hub, NodeKey);
        await session.OfferAsync(job.Offer());
        await session.NextResultAsync();

        var scratch = Directory.GetDirectories("/dev/shm", "rendertrust-*").Where(folder => Directory.GetDirectories(folder, $"job-{job.Id:D}-*").Length > 0).ToArray();

        Assert.Single(scratch);
        await Wait.ForAsync(() => Directory.GetDirectories(scratch[0], "job-*").Length == 0, "scratch to be wiped");
    }

    [Theory]
    [InlineData("corrupted")]
    [InlineData("truncated")]
    [InlineData("reordered")]
    [InlineData("extended")]
    [InlineData("plaintext")]
    public async Task A_damaged_asset_fails_the_unit_without_opening_anything(string damage)
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, tamper: blobs => blobs["asset"] = Damage(blobs["asset"], damage));

        await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.False(result.Succeeded);
        Assert.Equal("asset_corrupt", result.FailureClass);
        Assert.Empty(result.Outputs);
        Assert.DoesNotContain("wood.txt", result.FailureReason, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetDirectories("/dev/shm", "rendertrust-*"), folder => Directory.GetDirectories(folder, $"job-{job.Id:D}-*").Length > 0);
    }

    [Fact]
    public async Task A_damaged_manifest_fails_the_unit()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, tamper: blobs => blobs["manifest"] = Damage(blobs["manifest"], "corrupted"));

        await session.OfferAsync(job.Offer());

        Assert.Equal("asset_corrupt", (await session.NextResultAsync()).FailureClass);
    }

    [Fact]
    public async Task Without_a_grant_for_its_key_the_node_is_not_a_recipient()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);
        using var somebody = RecipientKeyPair.Generate();

        await session.OfferAsync(job.Offer(grantTo: somebody.PublicKey));

        Assert.Equal("not_a_recipient", (await session.NextResultAsync()).FailureClass);
    }

    [Fact]
    public async Task A_grant_of_another_job_does_not_open()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);
        using var other = new TestJob(Hub, NodeKey);
        var offer = job.Offer();
        var foreign = other.Offer().Grants[0].Clone();
        foreign.AssetId = offer.Manifest.AssetId;
        offer.Grants[0] = foreign;

        await session.OfferAsync(offer);

        Assert.Equal("not_a_recipient", (await session.NextResultAsync()).FailureClass);
    }

    [Fact]
    public async Task A_manifest_of_another_job_is_refused()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, units: 2);
        var offer = job.Offer();
        offer.UnitCount = 3;

        await session.OfferAsync(offer);

        Assert.Equal("asset_corrupt", (await session.NextResultAsync()).FailureClass);
    }

    [Fact]
    public async Task Assets_that_do_not_fit_are_refused_with_the_need_and_the_limit()
    {
        var session = await StartNodeAsync(options => options.ScratchBytes = 100_000);
        using var job = new TestJob(Hub, NodeKey);

        await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.Equal("scratch_too_small", result.FailureClass);
        Assert.Contains("100000", result.FailureReason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fail", "module_failed")]
    [InlineData("outOfMemory", "out_of_memory")]
    public async Task A_failing_module_reports_its_class_and_seals_its_log_to_the_creator(string behaviour, string expected)
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { simulate = new { behaviour } });

        await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.False(result.Succeeded);
        Assert.Equal(expected, result.FailureClass);
        var (path, _) = job.OpenOutput(Hub, Assert.Single(result.Outputs));
        Assert.Equal("log.txt", path);
    }

    [Fact]
    public async Task A_unit_that_takes_too_long_is_a_timeout()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { simulate = new { behaviour = "hang" } }, maxSeconds: 1);

        await session.OfferAsync(job.Offer());
        var result = await session.NextResultAsync();

        Assert.Equal("timeout", result.FailureClass);
        Assert.InRange(result.MeteredMilliseconds, 900, 20_000);
    }

    [Fact]
    public async Task An_image_without_a_digest_is_refused()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey);
        var offer = job.Offer();
        offer.Runtime.ImageDigest = "latest";

        await session.OfferAsync(offer);

        Assert.Equal("digest_mismatch", (await session.NextResultAsync()).FailureClass);
    }

    [Fact]
    public async Task Nothing_sealed_reaches_the_log()
    {
        var session = await StartNodeAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { prompt = "MARKER-PARAMETER", simulate = new { behaviour = "fail" } }, content: "MARKER-SCENE");

        await session.OfferAsync(job.Offer());
        await session.NextResultAsync();

        Assert.Contains(job.Id.ToString("D"), Log.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("MARKER", Log.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("wood.txt", Log.Text, StringComparison.Ordinal);
        foreach (var file in Directory.GetFiles(State, "*", SearchOption.AllDirectories).Where(file => !file.EndsWith(".lock", StringComparison.Ordinal)))
        {
            try
            {
                Assert.DoesNotContain("MARKER", await File.ReadAllTextAsync(file, Token), StringComparison.Ordinal);
            }
            catch (IOException) when (!File.Exists(file))
            {
                // The node forgets a result as soon as the hub has acknowledged it.
            }
        }
    }

    private static byte[] Damage(byte[] sealedBytes, string damage)
    {
        var bytes = sealedBytes.ToArray();
        switch (damage)
        {
            case "corrupted":
                bytes[bytes.Length / 2] ^= 1;
                return bytes;
            case "truncated":
                return bytes[..^70_000];
            case "reordered":
                // Two whole chunks of the large file, counted from its end (the last chunk is shorter).
                const int Chunk = 65_536 + 16;
                var last = (200_000 % 65_536) + 16;
                var second = bytes.Length - last - Chunk;
                var first = second - Chunk;
                return [.. bytes[..first], .. bytes[second..(second + Chunk)], .. bytes[first..second], .. bytes[(second + Chunk)..]];
            case "extended":
                return [.. bytes, 0];
            default:
                return Encoding.UTF8.GetBytes("sphere { 0, 1 }");
        }
    }
}
