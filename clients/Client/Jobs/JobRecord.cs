using System.Text.Json;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Jobs;

/// <summary>
/// What this machine keeps of a submitted job, written before it is sent: the public spec, the sealed manifest with a grant for the creator's own
/// key, and the sealed parts that travel inline. Nothing in it is readable without the encryption key.
/// </summary>
internal sealed record JobRecord(JobSpec Spec, AssetGrant OwnGrant, string? ContextId, IReadOnlyList<string> InlineBlobs, string? TaskId);

/// <summary>The keys of a job that its creator needs to check outputs.</summary>
internal sealed record JobKeys(JobId JobId, string ManifestSha256, byte[] OutputHashKey);

/// <summary>Job records in the profile's folder: <c>jobs/{jobId}/record.json</c> and <c>{sha256}.sealed</c>.</summary>
internal sealed class JobRecords(CreatorProfile profile)
{
    private static readonly JsonSerializerOptions Json = new(WireJson.Options) { WriteIndented = true };

    public async Task SaveAsync(JobRecord record, IReadOnlyList<(string Sha256, byte[] Bytes)> blobs, CancellationToken cancellationToken)
    {
        var folder = FolderOf(record.Spec.JobId);
        Directory.CreateDirectory(folder);
        foreach (var (sha256, bytes) in blobs)
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, $"{sha256}.sealed"), bytes, cancellationToken);
        }

        var file = Path.Combine(folder, "record.json");
        await File.WriteAllBytesAsync(file + ".tmp", JsonSerializer.SerializeToUtf8Bytes(record, Json), cancellationToken);
        File.Move(file + ".tmp", file, overwrite: true);
    }

    public async Task<JobRecord> LoadAsync(JobId jobId, CancellationToken cancellationToken)
    {
        var file = Path.Combine(FolderOf(jobId), "record.json");
        if (!File.Exists(file))
        {
            throw new RenderTrustException(
                RenderTrustError.InvalidProfile,
                $"There is no record of job {jobId} in {profile.JobsFolder}. Fetch its outputs from the machine and profile that submitted it.");
        }

        try
        {
            return JsonSerializer.Deserialize<JobRecord>(await File.ReadAllBytesAsync(file, cancellationToken), Json)
                ?? throw new JsonException("It is null.");
        }
        catch (JsonException exception)
        {
            throw new RenderTrustException(RenderTrustError.InvalidProfile, $"{file} is damaged: {exception.Message}", exception);
        }
    }

    public Task<byte[]> LoadBlobAsync(JobId jobId, string sha256, CancellationToken cancellationToken) =>
        File.ReadAllBytesAsync(Path.Combine(FolderOf(jobId), $"{sha256}.sealed"), cancellationToken);

    /// <summary>Opens the sealed manifest with the creator's key.</summary>
    public async Task<JobKeys> LoadKeysAsync(JobId jobId, CancellationToken cancellationToken)
    {
        var record = await LoadAsync(jobId, cancellationToken);
        var reference = record.Spec.Manifest;
        var container = await LoadBlobAsync(jobId, reference.BlobSha256, cancellationToken);
        try
        {
            using var key = Grants.Open(
                record.OwnGrant.ToGrant(), profile.EncryptionKey, new GrantContext(jobId.Value, reference.BlobSha256, reference.AssetId));
            var manifest = Manifests.OpenBytes(key, reference.AssetId, container);
            return new JobKeys(jobId, reference.BlobSha256, manifest.OutputHashKey);
        }
        catch (SealingException exception)
        {
            throw new RenderTrustException(RenderTrustError.InvalidProfile, $"The record of job {jobId} does not open: {exception.Message}", exception);
        }
    }

    private string FolderOf(JobId jobId) => Path.Combine(profile.JobsFolder, jobId.ToString());
}

/// <summary>Between the wire's grants and the sealing library's.</summary>
internal static class GrantMapping
{
    public static AssetGrant ToWire(this Grant grant) => new(grant.AssetId, grant.RecipientKeyId, grant.EncapsulatedKey, grant.WrappedKey);

    public static Grant ToGrant(this AssetGrant grant) => new(grant.AssetId, grant.RecipientKeyId, grant.EncapsulatedKey, grant.WrappedKey);
}
