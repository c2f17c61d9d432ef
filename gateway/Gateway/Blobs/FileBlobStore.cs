using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Blobs;

/// <summary>
/// One file per blob: <c>tenants/{tenant}/{first two}/{sha256}</c>. Bytes are written to <c>incoming</c>, hashed on the way, synced, and
/// only then renamed to their name, so that a crash at any point leaves a whole blob or none.
/// </summary>
internal sealed class FileBlobStore(IOptions<BlobOptions> options) : IBlobStore
{
    private const int BufferBytes = 128 * 1024;
    private readonly string root = Path.GetFullPath(options.Value.Directory);

    public Task<bool> ExistsAsync(TenantId tenant, string sha256, CancellationToken cancellationToken) => Task.FromResult(File.Exists(PathOf(tenant, sha256)));

    public async Task<PutOutcome> PutAsync(TenantId tenant, string expectedSha256, Stream content, CancellationToken cancellationToken)
    {
        var target = PathOf(tenant, expectedSha256);
        if (File.Exists(target))
        {
            return PutOutcome.AlreadyThere;
        }

        var incoming = Path.Combine(root, "incoming");
        DurableFiles.CreateDirectory(incoming);
        var temporary = Path.Combine(incoming, Guid.CreateVersion7().ToString("N"));
        try
        {
            await using (var file = new FileStream(temporary, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
            {
                var outcome = await CopyAsync(content, file, expectedSha256, cancellationToken);
                if (outcome != PutOutcome.Stored)
                {
                    return outcome;
                }

                RandomAccess.FlushToDisk(file.SafeFileHandle);
            }

            Publish(temporary, target);
            return PutOutcome.Stored;
        }
        finally
        {
            // Gone already when it was stored; deleting a missing file is no error.
            File.Delete(temporary);
        }
    }

    public async Task<PutOutcome> AdoptAsync(TenantId tenant, string expectedSha256, FileStream file, CancellationToken cancellationToken)
    {
        var target = PathOf(tenant, expectedSha256);
        if (File.Exists(target))
        {
            File.Delete(file.Name);
            return PutOutcome.AlreadyThere;
        }

        file.Position = 0;
        var outcome = await CopyAsync(file, destination: null, expectedSha256, cancellationToken);
        if (outcome == PutOutcome.Stored)
        {
            RandomAccess.FlushToDisk(file.SafeFileHandle);
            Publish(file.Name, target);
        }

        return outcome;
    }

    public Task<BlobRead?> OpenReadAsync(TenantId tenant, string sha256, CancellationToken cancellationToken)
    {
        try
        {
            // Delete is shared so that an erasure need not wait for readers; they keep what they have opened.
            var file = new FileStream(PathOf(tenant, sha256), new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.Read,
                Share = FileShare.Read | FileShare.Delete,
                BufferSize = 0,
                Options = FileOptions.Asynchronous | FileOptions.SequentialScan,
            });
            return Task.FromResult<BlobRead?>(new BlobRead(file, file.Length));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<BlobRead?>(null);
        }
    }

    /// <summary>Files that a crash left in <c>incoming</c>. Only old ones: another replica may be writing the others now.</summary>
    public int RemoveLeftovers(DateTimeOffset olderThan)
    {
        var incoming = new DirectoryInfo(Path.Combine(root, "incoming"));
        if (!incoming.Exists)
        {
            return 0;
        }

        var old = incoming.EnumerateFiles().Where(file => file.LastWriteTimeUtc < olderThan.UtcDateTime).ToList();
        old.ForEach(file => file.Delete());
        return old.Count;
    }

    private string PathOf(TenantId tenant, string sha256)
    {
        BlobHash.Require(sha256);
        return Path.Combine(root, "tenants", tenant.ToString(), sha256[..2], sha256);
    }

    private static void Publish(string from, string target)
    {
        DurableFiles.CreateDirectory(Path.GetDirectoryName(target)!);
        DurableFiles.Move(from, target);
    }

    private async Task<PutOutcome> CopyAsync(Stream source, FileStream? destination, string expectedSha256, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            long length = 0;
            int read;
            while ((read = await source.ReadAtLeastAsync(buffer, SealedFormat.Magic.Length, throwOnEndOfStream: false, cancellationToken)) > 0)
            {
                if (!SealedFormat.Agrees(length, buffer.AsSpan(0, read)) || length + read < SealedFormat.Magic.Length)
                {
                    return PutOutcome.NotSealed;
                }

                length += read;
                if (length > options.Value.MaxUploadBytes)
                {
                    return PutOutcome.TooLarge;
                }

                hash.AppendData(buffer, 0, read);
                if (destination is not null)
                {
                    await destination.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                }
            }

            if (length == 0)
            {
                return PutOutcome.NotSealed;
            }

            return CryptographicOperations.FixedTimeEquals(hash.GetHashAndReset(), Convert.FromHexString(expectedSha256)) ? PutOutcome.Stored : PutOutcome.HashMismatch;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
