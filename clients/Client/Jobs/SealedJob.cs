using System.Security.Cryptography;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Jobs;

/// <summary>One sealed object on its way: its reference and its bytes.</summary>
internal sealed record SealedBlob(AssetRef Reference, Spool Bytes) : IDisposable
{
    public void Dispose() => Bytes.Dispose();
}

/// <summary>A draft made unreadable: what goes to the platform, and what stays here.</summary>
internal sealed class SealedJob : IDisposable
{
    private SealedJob(JobSpec spec, AssetGrant ownGrant, JobKeys keys, IReadOnlyList<SealedBlob> blobs)
    {
        Spec = spec;
        OwnGrant = ownGrant;
        Keys = keys;
        Blobs = blobs;
    }

    public JobSpec Spec { get; }

    /// <summary>The manifest's set key, for the creator.</summary>
    public AssetGrant OwnGrant { get; }

    public JobKeys Keys { get; }

    /// <summary>The manifest first, then the assets.</summary>
    public IReadOnlyList<SealedBlob> Blobs { get; }

    public static async Task<SealedJob> SealAsync(
        JobDraft draft, CreatorProfile profile, IReadOnlyList<VerifiedRecipient> recipients, int spoolBytes,
        IProgress<SubmitProgress>? progress, CancellationToken cancellationToken)
    {
        var keys = new List<(Guid AssetId, SetKey Key)>();
        var blobs = new List<SealedBlob>();
        try
        {
            var mounts = new List<ManifestAsset>();
            for (var i = 0; i < draft.Assets.Count; i++)
            {
                progress?.Report(new SubmitProgress(SubmitStage.Sealing, i, draft.Assets.Count, 0, 0));
                var assetId = Guid.CreateVersion7();
                mounts.Add(new ManifestAsset(assetId, draft.Assets[i].MountPath));
                blobs.Add(await SealAsync(
                    assetId, keys, spoolBytes, (key, destination) => AssetSealer.SealAsync(key, assetId, draft.Assets[i].Files, destination, cancellationToken)));
            }

            var manifest = Manifest(draft, profile, mounts);
            var manifestId = Guid.CreateVersion7();
            var sealedManifest = await SealAsync(
                manifestId, keys, spoolBytes, (key, destination) => Manifests.SealAsync(key, manifestId, manifest, destination, cancellationToken));
            blobs.Insert(0, sealedManifest);

            var hash = sealedManifest.Reference.BlobSha256;
            AssetGrant GrantTo(RecipientPublicKey recipient, Guid assetId, SetKey key) =>
                Grants.Seal(key, recipient, new GrantContext(draft.JobId.Value, hash, assetId)).ToWire();
            var grants = recipients.SelectMany(recipient => keys.Select(pair => GrantTo(recipient.Key, pair.AssetId, pair.Key))).ToList();
            var ownGrant = GrantTo(profile.EncryptionKey.PublicKey, manifestId, keys[^1].Key);
            var spec = new JobSpec(
                draft.JobId, draft.Module, sealedManifest.Reference, draft.Units.Count, draft.MaxUnitDeviceSeconds, draft.CapMicrocredits,
                draft.DeadlineSeconds, [.. blobs.Skip(1).Select(blob => blob.Reference)], [.. grants, ownGrant], draft.PublicParameters, draft.AllowOverflow);
            return new SealedJob(spec, ownGrant, new JobKeys(draft.JobId, hash, manifest.OutputHashKey), blobs);
        }
        catch (SealingException exception)
        {
            blobs.ForEach(blob => blob.Dispose());
            throw new RenderTrustException(RenderTrustError.InvalidDraft, $"The job was not sent: {exception.Message}", exception);
        }
        catch
        {
            blobs.ForEach(blob => blob.Dispose());
            throw;
        }
        finally
        {
            keys.ForEach(pair => pair.Key.Dispose());
        }
    }

    public void Dispose()
    {
        foreach (var blob in Blobs)
        {
            blob.Dispose();
        }
    }

    private static async Task<SealedBlob> SealAsync(
        Guid assetId, List<(Guid AssetId, SetKey Key)> keys, int spoolBytes, Func<SetKey, Stream, Task<SealedAsset>> sealAsync)
    {
        var key = SetKey.Generate();
        keys.Add((assetId, key));
        var spool = new Spool(spoolBytes);
        try
        {
            var asset = await sealAsync(key, spool);
            return new SealedBlob(new AssetRef(asset.AssetId, asset.BlobSha256, asset.SizeBytes), spool);
        }
        catch
        {
            await spool.DisposeAsync();
            throw;
        }
    }

    private static JobManifest Manifest(JobDraft draft, CreatorProfile profile, IReadOnlyList<ManifestAsset> mounts) => new()
    {
        JobId = draft.JobId.Value,
        Module = draft.Module,
        Parameters = draft.Parameters,
        Units = [.. draft.Units.Select((parameters, index) => new ManifestUnit(index, parameters))],
        Assets = mounts,
        OutputRecipients =
        [
            .. draft.OtherOutputRecipients.Prepend(profile.EncryptionKey.PublicKey).Distinct().Select(recipient => recipient.Encode()),
        ],
        OutputHashKey = RandomNumberGenerator.GetBytes(OutputHash.KeyBytes),
        MaxUnitDeviceSeconds = draft.MaxUnitDeviceSeconds,
        CapMicrocredits = draft.CapMicrocredits,
    };
}
