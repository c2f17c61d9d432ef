using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using RenderTrust.EdgeProtocol;
using RenderTrust.Sealing;
using Grant = RenderTrust.EdgeProtocol.Grant;

namespace RenderTrust.Agent.Tests.Nodes;

/// <summary>A sealed job as a creator makes it, with the keys to open what comes back.</summary>
internal sealed class TestJob : IDisposable
{
    private readonly RecipientPublicKey _node;
    private readonly (Asset Asset, SetKey Key) _manifest;
    private readonly List<(Asset Asset, SetKey Key)> _assets = [];

    public TestJob(TestHub hub, RecipientPublicKey node, int units = 1, object? parameters = null, string content = "secret scene", string fileName = "input.txt", Action<Dictionary<string, byte[]>>? tamper = null, int maxSeconds = 60)
    {
        _node = node;
        var blobs = new Dictionary<string, byte[]>();
        var assetId = Guid.CreateVersion7();
        var assetKey = SetKey.Generate();
        var (sealedAsset, assetBytes) = AssetSealer.SealBytes(assetKey, assetId, [KeyValuePair.Create(fileName, Encoding.UTF8.GetBytes(content)), KeyValuePair.Create("textures/wood.txt", new byte[200_000])]);
        blobs["asset"] = assetBytes;
        var manifest = new JobManifest
        {
            JobId = Id,
            Module = "test@1.0.0",
            Parameters = JsonSerializer.SerializeToElement(parameters ?? new { }),
            Units = [.. Enumerable.Range(0, units).Select(index => new ManifestUnit(index, JsonSerializer.SerializeToElement(new { frame = index })))],
            Assets = [new ManifestAsset(assetId, "data")],
            OutputRecipients = [Creator.PublicKey.Encode()],
            OutputHashKey = HashKey,
            MaxUnitDeviceSeconds = maxSeconds,
            CapMicrocredits = 1_000_000,
        };
        var manifestId = Guid.CreateVersion7();
        var manifestKey = SetKey.Generate();
        var (sealedManifest, manifestBytes) = Manifests.SealBytes(manifestKey, manifestId, manifest);
        blobs["manifest"] = manifestBytes;
        tamper?.Invoke(blobs);

        // The hub serves what was tampered with under the name of the original, as a faulty store would.
        hub.Blobs[sealedAsset.BlobSha256] = blobs["asset"];
        hub.Blobs[sealedManifest.BlobSha256] = blobs["manifest"];
        _manifest = (new Asset { AssetId = manifestId.ToString("D"), BlobSha256 = sealedManifest.BlobSha256, SizeBytes = sealedManifest.SizeBytes }, manifestKey);
        _assets.Add((new Asset { AssetId = assetId.ToString("D"), BlobSha256 = sealedAsset.BlobSha256, SizeBytes = sealedAsset.SizeBytes }, assetKey));
        Units = units;
    }

    public Guid Id { get; } = Guid.CreateVersion7();

    public int Units { get; }

    public RecipientKeyPair Creator { get; } = RecipientKeyPair.Generate();

    public byte[] HashKey { get; } = RandomNumberGenerator.GetBytes(32);

    public LeaseOffer Offer(int unit = 0, long token = 1, int slot = 0, RecipientPublicKey? grantTo = null)
    {
        var offer = new LeaseOffer
        {
            AttemptId = Guid.CreateVersion7().ToString("D"),
            FencingToken = token,
            Slot = slot,
            JobId = Id.ToString("D"),
            UnitIndex = unit,
            UnitCount = Units,
            AttemptNumber = 1,
            Module = "test@1.0.0",
            Manifest = _manifest.Asset,
            MaxUnitDeviceSeconds = 60,
            LeaseExpiresUnixMs = DateTimeOffset.UtcNow.AddMinutes(5).ToUnixTimeMilliseconds(),
            BlobToken = "token",
            Runtime = new Runtime
            {
                ImageReference = "127.0.0.1:1/none",
                ImageDigest = "sha256:" + new string('0', 64),
                MemoryMebibytes = 256,
                ScratchMebibytes = 64,
                OutputMebibytes = 16,
                MaxProcesses = 64,
                CpuCount = 1,
            },
        };
        foreach (var (asset, key) in (ReadOnlySpan<(Asset, SetKey)>)[_manifest, .. _assets])
        {
            if (asset != _manifest.Asset)
            {
                offer.Assets.Add(asset);
            }

            var grant = Grants.Seal(key, grantTo ?? _node, new GrantContext(Id, _manifest.Asset.BlobSha256, Guid.Parse(asset.AssetId)));
            offer.Grants.Add(new Grant
            {
                AssetId = asset.AssetId,
                RecipientKeyId = grant.RecipientKeyId,
                EncapsulatedKey = ByteString.CopyFrom(grant.EncapsulatedKey),
                WrappedKey = ByteString.CopyFrom(grant.WrappedKey),
            });
        }

        return offer;
    }

    /// <summary>Opens one output as the creator does, and checks its keyed hash.</summary>
    public (string Path, byte[] Content) OpenOutput(TestHub hub, Output output)
    {
        var grant = Assert.Single(output.Grants);
        var assetId = Guid.Parse(output.AssetId);
        using var key = Grants.Open(
            new RenderTrust.Sealing.Grant(assetId, grant.RecipientKeyId, grant.EncapsulatedKey.ToByteArray(), grant.WrappedKey.ToByteArray()),
            Creator, new GrantContext(Id, _manifest.Asset.BlobSha256, assetId));
        var (path, content) = Assert.Single(AssetOpener.OpenBytes(key, assetId, hub.Blobs[output.BlobSha256]));
        using var plaintext = new MemoryStream(content);
        Assert.Equal(output.KeyedHash, OutputHash.Compute(HashKey, path, plaintext));
        return (path, content);
    }

    public void Dispose()
    {
        Creator.Dispose();
        _manifest.Key.Dispose();
        _assets.ForEach(asset => asset.Key.Dispose());
    }
}
