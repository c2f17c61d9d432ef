using System.Buffers.Binary;
using System.Security.Cryptography;

namespace RenderTrust.Sealing;

/// <summary>Reads sealed assets, in constant memory and forward only.</summary>
public static class AssetOpener
{
    /// <summary>Bytes that <see cref="LooksSealed"/> needs to see.</summary>
    public const int HeaderBytes = AssetFormat.HeaderBytes;

    /// <summary>
    /// Whether a blob starts like a sealed asset of a version that we know. Needs no key, so the platform can refuse
    /// plaintext; it says nothing about the rest of the blob.
    /// </summary>
    public static bool LooksSealed(ReadOnlySpan<byte> prefix, out Guid assetId)
    {
        assetId = Guid.Empty;
        if (prefix.Length < HeaderBytes || HeaderProblem(prefix) is not null)
        {
            return false;
        }

        assetId = AssetFormat.AssetIdOf(prefix);
        return true;
    }

    /// <summary>
    /// Opens an asset file by file. Each chunk is authentic before it is written, but an asset as a whole is only known to be
    /// complete when this returns: on an exception, throw away what was written.
    /// </summary>
    /// <param name="key">The asset's set key.</param>
    /// <param name="assetId">The asset that is expected.</param>
    /// <param name="source">The container; it needs no seeking and stays open.</param>
    /// <param name="createFileAsync">Gives a stream for a file. Called in the order of the container; the opener disposes of it.</param>
    /// <param name="limits">What the caller is willing to take, checked before the first file is created.</param>
    /// <param name="cancellationToken">Stops between chunks.</param>
    public static async Task<IReadOnlyList<AssetEntry>> OpenAsync(
        SetKey key,
        Guid assetId,
        Stream source,
        Func<AssetEntry, CancellationToken, Task<Stream>> createFileAsync,
        AssetLimits limits,
        CancellationToken cancellationToken)
    {
        var buffer = new byte[AssetFormat.ChunkBytes + AssetFormat.TagBytes];
        using var keys = await ReadHeaderAsync(key, assetId, source, buffer, cancellationToken);
        var preface = new MemoryStream(AssetFormat.PrefaceBytes);
        using (var segment = keys.Preface())
        {
            await OpenSegmentAsync(segment, "preface", source, AssetFormat.PrefaceBytes, preface, buffer, cancellationToken);
        }

        var entries = await ReadIndexAsync(keys, source, preface.ToArray(), limits, buffer, cancellationToken);
        foreach (var entry in entries)
        {
            await using var file = await createFileAsync(entry, cancellationToken);
            using var segment = keys.File(entry.Path);
            await OpenSegmentAsync(segment, entry.Path, source, entry.SizeBytes, file, buffer, cancellationToken);
            await file.FlushAsync(cancellationToken);
        }

        if (await source.ReadAsync(buffer.AsMemory(0, 1), cancellationToken) != 0)
        {
            throw new SealingException(
                SealingError.TrailingData, $"Asset {assetId} goes on after its last file: something was appended to it.");
        }

        return entries;
    }

    /// <summary>Opens a small asset in memory.</summary>
    public static IReadOnlyDictionary<string, byte[]> OpenBytes(
        SetKey key, Guid assetId, ReadOnlyMemory<byte> container, AssetLimits? limits = null)
    {
        var files = new Dictionary<string, MemoryStream>(StringComparer.Ordinal);
        // Memory streams complete at once, so there is nothing to wait for.
        var source = new MemoryStream(container.ToArray(), writable: false);
        OpenAsync(
            key, assetId, source,
            (entry, _) => Task.FromResult<Stream>(files[entry.Path] = new MemoryStream()),
            limits ?? AssetLimits.Default, CancellationToken.None).GetAwaiter().GetResult();
        return files.ToDictionary(file => file.Key, file => file.Value.ToArray(), StringComparer.Ordinal);
    }

    private static SealingException? HeaderProblem(ReadOnlySpan<byte> header)
    {
        if (!header.StartsWith(AssetFormat.Magic))
        {
            return new SealingException(
                SealingError.NotSealed, "The data does not start with the mark of a sealed asset. Seal it before sending it.");
        }

        if (header[8] != AssetFormat.Version || header[9] != AssetFormat.Suite || !AssetFormat.HasZeroReserve(header))
        {
            return new SealingException(
                SealingError.UnsupportedVersion,
                $"The asset has version {header[8]}, suite {header[9]}; this build reads version {AssetFormat.Version}, suite {AssetFormat.Suite}"
                + " with zero reserved bytes. Update, or fetch it again if it was damaged.");
        }

        return null;
    }

    private static async Task<AssetKeys> ReadHeaderAsync(
        SetKey key, Guid assetId, Stream source, byte[] buffer, CancellationToken cancellationToken)
    {
        var read = await source.ReadAtLeastAsync(
            buffer.AsMemory(0, HeaderBytes), HeaderBytes, throwOnEndOfStream: false, cancellationToken);
        var header = buffer.AsMemory(0, HeaderBytes);
        if (read < HeaderBytes)
        {
            var magic = AssetFormat.Magic[..Math.Min(read, AssetFormat.Magic.Length)];
            throw header.Span.StartsWith(magic)
                ? Truncated("header", $"{read} of {HeaderBytes} bytes")
                : HeaderProblem(header.Span)!;
        }

        if (HeaderProblem(header.Span) is { } problem)
        {
            throw problem;
        }

        if (AssetFormat.AssetIdOf(header.Span) is var found && found != assetId)
        {
            throw new SealingException(SealingError.WrongAsset, $"This is asset {found}, but asset {assetId} was asked for.");
        }

        var keys = new AssetKeys(key, assetId, AssetFormat.SaltOf(header.Span));
        if (!CryptographicOperations.FixedTimeEquals(keys.Commitment, AssetFormat.CommitmentOf(header.Span)))
        {
            keys.Dispose();
            throw new SealingException(
                SealingError.WrongKey, $"The set key is not the one that sealed asset {assetId}, or the asset's header was changed.");
        }

        return keys;
    }

    private static async Task<List<AssetEntry>> ReadIndexAsync(
        AssetKeys keys, Stream source, byte[] preface, AssetLimits limits, byte[] buffer, CancellationToken cancellationToken)
    {
        var indexBytes = BinaryPrimitives.ReadUInt32BigEndian(preface);
        var files = BinaryPrimitives.ReadUInt32BigEndian(preface.AsSpan(4));
        var contentBytes = BinaryPrimitives.ReadUInt64BigEndian(preface.AsSpan(8));
        Limit(files, Math.Min(limits.MaxFiles, AssetFormat.MaxFiles), "files");
        Limit(indexBytes, AssetFormat.MaxIndexBytes, "bytes of index");
        Limit(contentBytes, (ulong)Math.Min(limits.MaxTotalBytes, AssetFormat.MaxContentBytes), "bytes of content");

        var index = new MemoryStream();
        using (var segment = keys.Index())
        {
            await OpenSegmentAsync(segment, "index", source, indexBytes, index, buffer, cancellationToken);
        }

        var entries = DecodeIndex(index.GetBuffer().AsSpan(0, (int)index.Length), (int)files, limits);
        if (entries.Aggregate(0UL, (sum, entry) => sum + (ulong)entry.SizeBytes) != contentBytes)
        {
            throw Malformed("its sizes do not add up to the preface's");
        }

        AssetPath.CheckSet(entries.Select(entry => entry.Path));
        return entries;
    }

    private static List<AssetEntry> DecodeIndex(ReadOnlySpan<byte> index, int files, AssetLimits limits)
    {
        if (files == 0)
        {
            throw Malformed("it holds no file");
        }

        var entries = new List<AssetEntry>(Math.Min(files, index.Length / 11));
        var previous = ReadOnlySpan<byte>.Empty;
        while (!index.IsEmpty)
        {
            if (index.Length < 2 || BinaryPrimitives.ReadUInt16BigEndian(index) is var length && index.Length < 2 + length + 8)
            {
                throw Malformed("an entry ends in the middle");
            }

            var encoded = index.Slice(2, length);
            var size = BinaryPrimitives.ReadUInt64BigEndian(index[(2 + length)..]);
            index = index[(2 + length + 8)..];
            var path = AssetPath.Decode(encoded);
            AssetPath.Check(path, Math.Min(limits.MaxPathBytes, AssetFormat.MaxPathBytes));
            if (entries.Count > 0 && previous.SequenceCompareTo(encoded) is var order && order >= 0)
            {
                throw order == 0
                    ? new SealingException(SealingError.DuplicatePath, $"The path '{path}' is there twice.")
                    : Malformed("its paths are not in order");
            }

            Limit(size, (ulong)Math.Min(limits.MaxFileBytes, AssetFormat.MaxContentBytes), $"bytes in '{path}'");
            entries.Add(new AssetEntry(path, (long)size));
            previous = encoded;
        }

        return entries.Count == files ? entries : throw Malformed($"it has {entries.Count} entries where the preface says {files}");
    }

    private static async Task OpenSegmentAsync(
        Segment segment, string name, Stream source, long size, Stream target, byte[] buffer, CancellationToken cancellationToken)
    {
        var chunks = AssetFormat.ChunksOf(size);
        for (var left = size; chunks > 0; chunks--)
        {
            var length = (int)Math.Min(left, AssetFormat.ChunkBytes);
            var sealedChunk = buffer.AsMemory(0, length + AssetFormat.TagBytes);
            var read = await source.ReadAtLeastAsync(sealedChunk, sealedChunk.Length, throwOnEndOfStream: false, cancellationToken);
            if (read < sealedChunk.Length)
            {
                throw Truncated(name, $"{left - Math.Min(read, length)} bytes of content");
            }

            if (!segment.TryOpen(sealedChunk.Span, last: chunks == 1))
            {
                throw new SealingException(
                    SealingError.Corrupted,
                    $"'{name}' was changed, reordered or swapped: its content from byte {size - left} does not authenticate. Fetch it again.");
            }

            await target.WriteAsync(sealedChunk[..length], cancellationToken);
            left -= length;
        }
    }

    private static void Limit(ulong value, ulong limit, string what)
    {
        if (value > limit)
        {
            throw new SealingException(SealingError.LimitExceeded, $"The asset has {value} {what} (limit {limit}).");
        }
    }

    private static void Limit(uint value, int limit, string what) => Limit(value, (ulong)limit, what);

    private static SealingException Malformed(string why) =>
        new(SealingError.MalformedIndex, $"The asset's index is authentic but malformed: {why}. Whoever sealed it is faulty or hostile.");

    private static SealingException Truncated(string where, string missing) =>
        new(SealingError.Truncated, $"The asset ends in '{where}' ({missing}). The transfer was cut off: fetch it again.");
}
