using System.Security.Cryptography;
using RenderTrust.Agent.Relay;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;
using RenderTrust.EdgeProtocol;
using RenderTrust.Sealing;
using Grant = RenderTrust.Sealing.Grant;

namespace RenderTrust.Agent.Units;

/// <summary>A job's opened manifest and assets in memory-backed scratch, shared by its units on this node.</summary>
internal sealed class JobWorkspace(JobManifest manifest, ScratchFolder folder) : IDisposable
{
    public JobManifest Manifest { get; } = manifest;

    /// <summary>What modules see at <c>/job/in</c>.</summary>
    public string InputFolder { get; } = Path.Combine(folder.Path, "in");

    public void Dispose() => folder.Dispose();
}

/// <summary>
/// Fetches, checks and opens what a lease names. All failures are named by class; none quotes a path, parameter or content,
/// because those are sealed and failures are told to the platform.
/// </summary>
internal sealed class JobOpener(BlobClient blobs, RecipientKeyPair key, ScratchSpace scratch)
{
    public async Task<JobWorkspace> OpenAsync(LeaseOffer offer, CancellationToken cancellationToken)
    {
        // Ciphertext is never smaller than its content, so its size bounds what will be opened.
        var bytes = offer.Assets.Sum(asset => asset.SizeBytes);
        var limit = (long)offer.Runtime.ScratchMebibytes << 20;
        if (bytes > limit)
        {
            throw new UnitFailedException(FailureClass.ScratchTooSmall,
                $"The job's assets take {bytes} bytes; the module allows {limit} bytes of scratch. Use fewer or smaller assets, or a module version with a higher scratchMebibytes.");
        }

        var manifest = await OpenManifestAsync(offer, cancellationToken);
        var folder = ReserveFolder($"job-{offer.JobId}-{Guid.CreateVersion7():N}", bytes);
        try
        {
            var input = Path.Combine(folder.Path, "in");
            MakeFolder(folder.Path, "in");
            foreach (var asset in manifest.Assets)
            {
                await OpenAssetAsync(offer, asset, input, cancellationToken);
            }

            return new JobWorkspace(manifest, folder);
        }
        catch
        {
            // Half-opened assets are not known to be complete, so nothing of them may stay.
            folder.Dispose();
            throw;
        }
    }

    private async Task<JobManifest> OpenManifestAsync(LeaseOffer offer, CancellationToken cancellationToken)
    {
        var assetId = ParseId(offer.Manifest.AssetId, "the manifest");
        using var setKey = OpenGrant(offer, assetId);
        var manifest = await ReadCheckedAsync(offer, offer.Manifest, (stream, token) => Manifests.OpenAsync(setKey, assetId, stream, token), cancellationToken);
        if (manifest.JobId.ToString("D") != offer.JobId || manifest.Module != offer.Module || manifest.Units.Count != offer.UnitCount
            || offer.UnitIndex < 0 || offer.UnitIndex >= manifest.Units.Count)
        {
            throw new UnitFailedException(FailureClass.AssetCorrupt,
                "The sealed manifest is for another job, module or number of units than the lease says. The creator must submit the job spec that belongs to this manifest.");
        }

        return manifest;
    }

    private async Task OpenAssetAsync(LeaseOffer offer, ManifestAsset mounted, string input, CancellationToken cancellationToken)
    {
        var asset = offer.Assets.FirstOrDefault(candidate => candidate.AssetId == mounted.AssetId.ToString("D"))
            ?? throw new UnitFailedException(FailureClass.AssetCorrupt, $"The sealed manifest names asset {mounted.AssetId}, which is not among the job's assets. The creator must submit it with the job.");
        using var setKey = OpenGrant(offer, mounted.AssetId);
        var limits = new AssetLimits { MaxTotalBytes = asset.SizeBytes, MaxFileBytes = asset.SizeBytes };
        await ReadCheckedAsync(offer, asset, (stream, token) => AssetOpener.OpenAsync(
            setKey, mounted.AssetId, stream, (entry, _) => Task.FromResult<Stream>(CreateFile(input, mounted.MountPath, entry.Path)), limits, token), cancellationToken);
    }

    /// <summary>Reads a blob once: its hash is taken while it is opened, and what was opened counts only if the hash is right.</summary>
    private async Task<T> ReadCheckedAsync<T>(LeaseOffer offer, Asset asset, Func<Stream, CancellationToken, Task<T>> open, CancellationToken cancellationToken)
    {
        try
        {
            return await blobs.ReadAsync(asset.BlobSha256, offer.BlobToken, async (stream, token) =>
            {
                await using var hashed = new HashedStream(stream, asset.SizeBytes);
                T opened;
                try
                {
                    opened = await open(hashed, token);
                }
                catch (SealingException exception)
                {
                    throw Describe(exception, asset.AssetId);
                }

                return await hashed.IsAsync(asset.BlobSha256, token)
                    ? opened
                    : throw new UnitFailedException(FailureClass.AssetCorrupt, $"The ciphertext of asset {asset.AssetId} does not have the sha256 that the job spec names. It was changed or cut after it was sealed; upload it again.");
            }, cancellationToken);
        }
        catch (BlobRefusedException exception)
        {
            throw new UnitFailedException(FailureClass.Internal, exception.Message, exception);
        }
        catch (HttpRequestException exception)
        {
            throw new UnitFailedException(FailureClass.Internal, $"Asset {asset.AssetId} could not be fetched from the hub: {exception.Message}", exception);
        }
    }

    private SetKey OpenGrant(LeaseOffer offer, Guid assetId)
    {
        var text = assetId.ToString("D");
        var grant = offer.Grants.FirstOrDefault(candidate => candidate.AssetId == text && candidate.RecipientKeyId == key.PublicKey.KeyId)
            ?? throw new UnitFailedException(FailureClass.NotARecipient, $"There is no grant of asset {text} for this node's key {key.PublicKey.KeyId}. The creator must grant it to this node.");
        try
        {
            return Grants.Open(
                new Grant(assetId, grant.RecipientKeyId, grant.EncapsulatedKey.ToByteArray(), grant.WrappedKey.ToByteArray()),
                key,
                new GrantContext(ParseId(offer.JobId, "the job"), offer.Manifest.BlobSha256, assetId));
        }
        catch (SealingException exception)
        {
            throw Describe(exception, text);
        }
    }

    // The library's own messages may name files inside an asset, which the platform must not learn.
    private static UnitFailedException Describe(SealingException exception, string assetId) => exception.Error switch
    {
        SealingError.NotARecipient => new(FailureClass.NotARecipient, $"The grant of asset {assetId} is for another key than this node's.", exception),
        SealingError.GrantRefused => new(FailureClass.NotARecipient, $"The grant of asset {assetId} does not open: it was made for another job, manifest or key, or was changed on the way.", exception),
        // Ciphertext is never smaller than its content: what claims to hold more than its own size was cut, or lies.
        SealingError.LimitExceeded => new(FailureClass.AssetCorrupt, $"Asset {assetId} says that it opens to more than its own size: it was cut after it was sealed, or sealed with a fault. Seal and upload it again.", exception),
        _ => new(FailureClass.AssetCorrupt, $"Asset {assetId} does not open ({exception.Error}): it was changed, cut or reordered after it was sealed, or sealed with a fault. Seal and upload it again.", exception),
    };

    private static Guid ParseId(string text, string what) => Guid.TryParseExact(text, "D", out var id)
        ? id
        : throw new UnitFailedException(FailureClass.Internal, $"The lease's id of {what} is not a UUID.");

    private static FileStream CreateFile(string input, string mountPath, string path)
    {
        var segments = (mountPath.Length > 0 ? mountPath + "/" + path : path).Split('/');
        var folder = input;
        foreach (var segment in segments[..^1])
        {
            folder = MakeFolder(folder, segment);
        }

        var file = Path.Combine(folder, segments[^1]);
        try
        {
            // Overwriting one of our own is right: a transfer that broke is opened again from the start.
            var stream = new FileStream(file, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0, Options = FileOptions.Asynchronous });
            File.SetUnixFileMode(file, Modes.ReadableFile);
            return stream;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UnitFailedException(FailureClass.AssetCorrupt, "Two assets of the job put a file and a folder in the same place. Give them different mount paths.", exception);
        }
    }

    private static string MakeFolder(string parent, string name)
    {
        var folder = Path.Combine(parent, name);
        if (!Directory.Exists(folder))
        {
            try
            {
                Directory.CreateDirectory(folder);
            }
            catch (IOException exception)
            {
                throw new UnitFailedException(FailureClass.AssetCorrupt, "Two assets of the job put a file and a folder in the same place. Give them different mount paths.", exception);
            }

            Modes.OpenForModule(folder, writable: false);
        }

        return folder;
    }

    private ScratchFolder ReserveFolder(string name, long bytes)
    {
        try
        {
            return scratch.Reserve(name, bytes);
        }
        catch (ScratchFullException exception)
        {
            throw new UnitFailedException(FailureClass.ScratchTooSmall, exception.Message, exception);
        }
    }

    /// <summary>Hashes what is read, and ends a blob that is longer than announced.</summary>
    private sealed class HashedStream(Stream inner, long sizeBytes) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private long _read;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public async Task<bool> IsAsync(string sha256, CancellationToken cancellationToken)
        {
            var rest = new byte[4096];
            while (await ReadAsync(rest, cancellationToken) > 0)
            {
                // Reading on only feeds the hash.
            }

            return _read == sizeBytes && Convert.ToHexStringLower(_hash.GetHashAndReset()) == sha256;
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await inner.ReadAsync(buffer, cancellationToken);
            _hash.AppendData(buffer.Span[..read]);
            _read += read;
            return _read <= sizeBytes
                ? read
                : throw new UnitFailedException(FailureClass.AssetCorrupt, $"A blob is longer than the {sizeBytes} bytes that the job spec announces.");
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read asynchronously.");

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            _hash.Dispose();
            base.Dispose(disposing);
        }
    }
}
