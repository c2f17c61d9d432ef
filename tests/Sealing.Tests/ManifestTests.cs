using System.Text;
using System.Text.Json;

namespace RenderTrust.Sealing.Tests;

public sealed class ManifestTests
{
    private static readonly RecipientKeyPair Creator = RecipientKeyPair.Generate();

    [Fact]
    public async Task A_manifest_survives_sealing()
    {
        var manifest = Sample();
        using var container = new MemoryStream();
        await Manifests.SealAsync(Samples.Key, Samples.AssetId, manifest, container, TestContext.Current.CancellationToken);
        container.Position = 0;

        var opened = await Manifests.OpenAsync(Samples.Key, Samples.AssetId, container, TestContext.Current.CancellationToken);

        Assert.Equal(manifest.ToBytes(), opened.ToBytes());
        Assert.Equal(Creator.PublicKey, Assert.Single(opened.OutputRecipientKeys()));
        Assert.Equal(manifest.ToBytes(), Manifests.OpenBytes(Samples.Key, Samples.AssetId, container.ToArray()).ToBytes());
    }

    [Fact]
    public void An_asset_that_is_no_manifest_is_refused()
    {
        var asset = Samples.Seal(("other.json", Sample().ToBytes()));

        Assert.Equal(SealingError.InvalidManifest, Samples.ErrorOf(() => Manifests.OpenBytes(Samples.Key, Samples.AssetId, asset)));
    }

    [Theory]
    [InlineData("\"formatVersion\":1", "\"formatVersion\":2")]
    [InlineData("\"formatVersion\":1,", "")]
    [InlineData("\"jobId\"", "\"JobId\"")]
    [InlineData("\"module\":\"povray@1\"", "\"module\":null")]
    [InlineData("\"module\":\"povray@1\"", "\"module\":\"\"")]
    [InlineData("\"module\":\"povray@1\"", "\"module\":\"povray@1\",\"module\":\"povray@2\"")]
    [InlineData("\"module\"", "\"extra\":1,\"module\"")]
    [InlineData("{\"index\":1", "{\"index\":2")]
    [InlineData("{\"frame\":0}", "[]")]
    [InlineData("{\"frame\":0}", "{\"frame\":0,\"frame\":1}")]
    [InlineData("\"mountPath\":\"scene\"", "\"mountPath\":\"../scene\"")]
    [InlineData("\"maxUnitDeviceSeconds\":60", "\"maxUnitDeviceSeconds\":0")]
    [InlineData("\"maxUnitDeviceSeconds\":60", "\"maxUnitDeviceSeconds\":\"60\"")]
    [InlineData("\"capMicrocredits\":1000", "\"capMicrocredits\":-1")]
    [InlineData("\"outputHashKey\":\"A", "\"outputHashKey\":\"AAAA")]
    [InlineData("\"outputRecipients\":[\"", "\"outputRecipients\":[\"x\",\"")]
    [InlineData("}", "},")]
    public void A_manifest_that_breaks_the_format_is_refused(string from, string to)
    {
        var json = Encoding.UTF8.GetString(Sample().ToBytes());
        Assert.Contains(from, json, StringComparison.Ordinal);

        var broken = Encoding.UTF8.GetBytes(json.Replace(from, to, StringComparison.Ordinal));

        Assert.Equal(SealingError.InvalidManifest, Samples.ErrorOf(() => JobManifest.Parse(broken)));
    }

    [Fact]
    public void A_manifest_is_checked_before_it_is_written()
    {
        Assert.Equal(SealingError.InvalidManifest, Samples.ErrorOf(() => (Sample() with { Units = [] }).ToBytes()));
        Assert.Equal(SealingError.InvalidManifest, Samples.ErrorOf(() => (Sample() with { OutputRecipients = [] }).ToBytes()));
        Assert.Equal(SealingError.InvalidManifest, Samples.ErrorOf(() => (Sample() with { JobId = Guid.Empty }).ToBytes()));
        Assert.Equal(SealingError.InvalidManifest, Samples.ErrorOf(() => JobManifest.Parse("null"u8)));
    }

    [Fact]
    public async Task An_output_hash_depends_on_key_path_and_content()
    {
        var key = new byte[32];
        var content = "frame"u8.ToArray();

        var hash = OutputHash.Compute(key, "frame0.png", content);

        Assert.Equal(64, hash.Length);
        Assert.Equal(hash, OutputHash.Compute(key, "frame0.png", new MemoryStream(content)));
        Assert.Equal(hash, await OutputHash.ComputeAsync(key, "frame0.png", new MemoryStream(content), TestContext.Current.CancellationToken));
        Assert.NotEqual(hash, OutputHash.Compute(key, "frame1.png", content));
        Assert.NotEqual(hash, OutputHash.Compute(key, "frame0.png", "Frame"u8));
        Assert.NotEqual(hash, OutputHash.Compute([.. Enumerable.Repeat((byte)1, 32)], "frame0.png", content));
        Assert.Equal(SealingError.InvalidKey, Samples.ErrorOf(() => OutputHash.Compute(new byte[16], "a", content)));
    }

    private static JobManifest Sample() => new()
    {
        JobId = Guid.Parse("0199a1b2-c3d4-7e5f-8a6b-0000000000aa"),
        Module = "povray@1",
        Parameters = JsonElement.Parse("""{"width":640}"""),
        Units = [new ManifestUnit(0, JsonElement.Parse("""{"frame":0}""")), new ManifestUnit(1, JsonElement.Parse("""{"frame":1}"""))],
        Assets = [new ManifestAsset(Samples.AssetId, "scene")],
        OutputRecipients = [Creator.PublicKey.Encode()],
        OutputHashKey = new byte[32],
        MaxUnitDeviceSeconds = 60,
        CapMicrocredits = 1_000,
    };
}
