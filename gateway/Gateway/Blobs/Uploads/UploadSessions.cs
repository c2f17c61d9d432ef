using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Blobs;

/// <summary>
/// Uploads in progress: a row for what was promised, a file for what has come. Whoever writes holds the file's lock, which the kernel
/// gives back when the process dies; so no crash leaves an upload locked, and the offset never runs ahead of the bytes.
/// </summary>
internal sealed partial class UploadSessions(NpgsqlDataSource database, IBlobStore blobs, IOptions<BlobOptions> options, TimeProvider time, ILogger<UploadSessions> logger)
{
    private const int ErrnoWouldBlock = 11;
    private readonly string folder = Path.Combine(Path.GetFullPath(options.Value.Directory), "uploads");

    /// <summary>Null when the tenant has too many open uploads, or too many bytes are promised with them.</summary>
    public async Task<Upload?> CreateAsync(TenantId tenant, string sha256, long lengthBytes, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var id = Guid.CreateVersion7();
        var path = FileOf(id);
        var upload = new Upload(id, tenant, sha256, lengthBytes, now.AddHours(options.Value.UploadExpiryHours), Finished: false);

        // The file first: a row without its file would look like an upload that was lost.
        DurableFiles.CreateDirectory(folder);
        await using (new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
        }

        await using var insert = database.CreateCommand(
            """
            INSERT INTO uploads (upload_id, tenant_id, sha256, length_bytes, created_at, expires_at)
            SELECT $1, $2, $3, $4, $5, $6
            WHERE (SELECT count(*) FROM uploads WHERE tenant_id = $2 AND finished_at IS NULL AND expires_at > $5) < $7
            AND (SELECT coalesce(sum(length_bytes), 0) FROM uploads WHERE tenant_id = $2 AND finished_at IS NULL AND expires_at > $5) + $4 <= $8
            """);
        insert.With(upload.UploadId, tenant.Value, sha256, lengthBytes, now, upload.ExpiresAt, (long)options.Value.MaxOpenUploads, options.Value.MaxOpenUploadBytes);
        if (await insert.ExecuteNonQueryAsync(cancellationToken) == 1)
        {
            return upload;
        }

        File.Delete(path);
        return null;
    }

    /// <summary>Null for another tenant's upload as for one that never was.</summary>
    public async Task<Upload?> FindAsync(TenantId tenant, string uploadId, CancellationToken cancellationToken)
    {
        if (!Guid.TryParseExact(uploadId, "D", out var id))
        {
            return null;
        }

        await using var select = database.CreateCommand(
            "SELECT sha256, length_bytes, expires_at, finished_at IS NOT NULL FROM uploads WHERE upload_id = $1 AND tenant_id = $2 AND expires_at > $3");
        select.With(id, tenant.Value, time.GetUtcNow());
        await using var reader = await select.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Upload(id, tenant, reader.GetString(0), reader.GetInt64(1), await reader.GetFieldValueAsync<DateTimeOffset>(2, cancellationToken), reader.GetBoolean(3))
            : null;
    }

    /// <summary>Bytes that have come, without taking the lock; null when the file is gone.</summary>
    public long? ReadOffset(Upload upload)
    {
        var file = new FileInfo(FileOf(upload.UploadId));
        return file.Exists ? file.Length : null;
    }

    /// <summary>Opens the bytes for writing. <see cref="UploadStanding.Unknown"/> when they are gone, <see cref="UploadStanding.Locked"/> when someone else writes.</summary>
    public (UploadStanding Standing, FileStream? File) TryOpen(Upload upload)
    {
        try
        {
            // Unbuffered: what was acknowledged is in the kernel, and a killed process loses none of it.
            return (UploadStanding.Open, new FileStream(FileOf(upload.UploadId), new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = 0,
                Options = FileOptions.Asynchronous,
            }));
        }
        catch (FileNotFoundException)
        {
            return (UploadStanding.Unknown, null);
        }
        catch (IOException exception) when (exception.HResult == ErrnoWouldBlock)
        {
            return (UploadStanding.Locked, null);
        }
    }

    /// <summary>All bytes have come: checks them and makes them a blob. The caller holds the lock.</summary>
    public async Task<UploadStanding> FinishAsync(Upload upload, FileStream file, CancellationToken cancellationToken)
    {
        PutOutcome outcome;
        try
        {
            outcome = await blobs.AdoptAsync(upload.Tenant, upload.Sha256, file, cancellationToken);
        }
        catch (FileNotFoundException)
        {
            // Terminated, or finished by someone else, between our open and our lock.
            return await RecoverAsync(upload, cancellationToken);
        }

        if (outcome is PutOutcome.Stored or PutOutcome.AlreadyThere)
        {
            await MarkFinishedAsync(upload, cancellationToken);
            LogFinished(logger, upload.UploadId, upload.Tenant, upload.Sha256, outcome);
            return UploadStanding.Finished;
        }

        await DiscardAsync(upload, cancellationToken);
        LogDiscarded(logger, upload.UploadId, upload.Tenant, outcome);
        return UploadStanding.Mismatched;
    }

    /// <summary>The bytes are gone: either a crash came between storing the blob and noting it, or the upload was discarded.</summary>
    public async Task<UploadStanding> RecoverAsync(Upload upload, CancellationToken cancellationToken)
    {
        if (await blobs.ExistsAsync(upload.Tenant, upload.Sha256, cancellationToken))
        {
            await MarkFinishedAsync(upload, cancellationToken);
            return UploadStanding.Finished;
        }

        await DiscardAsync(upload, cancellationToken);
        return UploadStanding.Unknown;
    }

    public async Task DiscardAsync(Upload upload, CancellationToken cancellationToken)
    {
        File.Delete(FileOf(upload.UploadId));
        await using var delete = database.CreateCommand("DELETE FROM uploads WHERE upload_id = $1");
        delete.With(upload.UploadId);
        await delete.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Removes what has expired, and files that a crash left without a row.</summary>
    public async Task<int> SweepAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var known = new HashSet<Guid>();
        await using (var delete = database.CreateCommand("DELETE FROM uploads WHERE expires_at <= $1"))
        {
            delete.With(now);
            await delete.ExecuteNonQueryAsync(cancellationToken);
        }

        await using (var select = database.CreateCommand("SELECT upload_id FROM uploads WHERE finished_at IS NULL"))
        await using (var reader = await select.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                known.Add(reader.GetGuid(0));
            }
        }

        if (!Directory.Exists(folder))
        {
            return 0;
        }

        // A file younger than an hour may belong to an upload whose row is being written right now.
        var orphans = new DirectoryInfo(folder).EnumerateFiles()
            .Where(file => Guid.TryParseExact(file.Name, "N", out var id) && !known.Contains(id) && file.LastWriteTimeUtc < now.UtcDateTime.AddHours(-1))
            .ToList();
        orphans.ForEach(file => file.Delete());
        return orphans.Count;
    }

    private string FileOf(Guid uploadId) => Path.Combine(folder, uploadId.ToString("N"));

    private async Task MarkFinishedAsync(Upload upload, CancellationToken cancellationToken)
    {
        await using var update = database.CreateCommand("UPDATE uploads SET finished_at = $2 WHERE upload_id = $1 AND finished_at IS NULL");
        update.With(upload.UploadId, time.GetUtcNow());
        await update.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(LogLevel.Information, "Upload {UploadId} of tenant {TenantId} became blob {Sha256}: {Outcome}")]
    private static partial void LogFinished(ILogger logger, Guid uploadId, TenantId tenantId, string sha256, PutOutcome outcome);

    [LoggerMessage(LogLevel.Warning, "Upload {UploadId} of tenant {TenantId} was discarded: {Outcome}")]
    private static partial void LogDiscarded(ILogger logger, Guid uploadId, TenantId tenantId, PutOutcome outcome);
}
