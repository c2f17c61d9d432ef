using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Sealing;

/// <summary>Writes sealed assets, in constant memory and forward only.</summary>
public static class AssetSealer
{
    /// <summary>Seals files into one asset. The destination needs no seeking and stays open.</summary>
    public static Task<SealedAsset> SealAsync(
        SetKey key, Guid assetId, IReadOnlyList<AssetSource> files, Stream destination, CancellationToken cancellationToken) =>
        SealAsync(key, assetId, files, destination, RandomNumberGenerator.GetBytes(AssetFormat.SaltBytes), cancellationToken);

    /// <summary>Seals a small asset in memory.</summary>
    public static async Task<(SealedAsset Asset, byte[] Bytes)> SealBytesAsync(
        SetKey key, Guid assetId, IReadOnlyList<AssetSource> files, CancellationToken cancellationToken)
    {
        using var destination = new MemoryStream();
        var asset = await SealAsync(key, assetId, files, destination, cancellationToken);
        return (asset, destination.ToArray());
    }

    /// <summary>Seals a small asset whose files are in memory already.</summary>
    public static (SealedAsset Asset, byte[] Bytes) SealBytes(
        SetKey key, Guid assetId, IEnumerable<KeyValuePair<string, byte[]>> files)
    {
        var sources = files.Select(file => AssetSource.FromBytes(file.Key, file.Value)).ToList();
        // Memory streams complete at once, so there is nothing to wait for.
        return SealBytesAsync(key, assetId, sources, CancellationToken.None).GetAwaiter().GetResult();
    }

    /// <summary>With a given salt, for test vectors: a salt must never serve twice under one key.</summary>
    internal static async Task<SealedAsset> SealAsync(
        SetKey key, Guid assetId, IReadOnlyList<AssetSource> files, Stream destination, byte[] salt, CancellationToken cancellationToken)
    {
        var ordered = Order(files);
        var entries = await MeasureAsync(ordered, cancellationToken);
        var index = AssetFormat.EncodeIndex(entries);
        var contentBytes = CheckLimits(index, entries);

        using var keys = new AssetKeys(key, assetId, salt);
        using var output = new HashedOutput(destination);
        var buffer = new byte[AssetFormat.ChunkBytes + AssetFormat.TagBytes];
        await output.WriteAsync(AssetFormat.Header(assetId, keys), cancellationToken);
        using (var preface = keys.Preface())
        {
            using var content = new MemoryStream(AssetFormat.EncodePreface(index.Length, entries.Count, contentBytes));
            await SealSegmentAsync(preface, content, content.Length, output, buffer, cancellationToken);
        }

        using (var segment = keys.Index())
        {
            using var content = new MemoryStream(index);
            await SealSegmentAsync(segment, content, content.Length, output, buffer, cancellationToken);
        }

        for (var i = 0; i < ordered.Count; i++)
        {
            await using var content = await ordered[i].OpenAsync(cancellationToken);
            using var segment = keys.File(entries[i].Path);
            if (!await SealSegmentAsync(segment, content, entries[i].SizeBytes, output, buffer, cancellationToken)
                || await content.ReadAsync(buffer.AsMemory(0, 1), cancellationToken) != 0)
            {
                throw new SealingException(
                    SealingError.SourceChanged,
                    $"'{entries[i].Path}' no longer has the {entries[i].SizeBytes} bytes it had a moment ago. Seal again when nothing writes to it.");
            }
        }

        await destination.FlushAsync(cancellationToken);
        return new SealedAsset(assetId, output.Sha256(), output.Length, entries);
    }

    /// <summary>Canonical order: by UTF-8 bytes. One set of files has one layout, and the index shows duplicates side by side.</summary>
    private static List<AssetSource> Order(IReadOnlyList<AssetSource> files)
    {
        if (files.Count is 0 or > AssetFormat.MaxFiles)
        {
            throw new SealingException(
                SealingError.LimitExceeded, $"An asset holds 1 to {AssetFormat.MaxFiles} files, this one {files.Count}.");
        }

        var encoded = files
            .Select(file => (Key: AssetPath.Check(file.Path, AssetFormat.MaxPathBytes), File: file))
            .OrderBy(pair => pair.Key, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)))
            .ToList();
        AssetPath.CheckSet(encoded.Select(pair => pair.File.Path));
        return encoded.ConvertAll(pair => pair.File);
    }

    private static async Task<List<AssetEntry>> MeasureAsync(List<AssetSource> files, CancellationToken cancellationToken)
    {
        var entries = new List<AssetEntry>(files.Count);
        byte[]? buffer = null;
        foreach (var file in files)
        {
            await using var content = await file.OpenAsync(cancellationToken);
            long size = 0;
            if (content.CanSeek)
            {
                size = content.Length - content.Position;
            }
            else
            {
                buffer ??= new byte[AssetFormat.ChunkBytes];
                for (int read; (read = await content.ReadAsync(buffer, cancellationToken)) > 0;)
                {
                    size += read;
                }
            }

            entries.Add(new AssetEntry(file.Path, size));
        }

        return entries;
    }

    private static long CheckLimits(byte[] index, List<AssetEntry> entries)
    {
        if (index.Length > AssetFormat.MaxIndexBytes)
        {
            throw new SealingException(
                SealingError.LimitExceeded,
                $"The index of {entries.Count} files takes {index.Length} bytes (limit {AssetFormat.MaxIndexBytes}). Use shorter paths or several assets.");
        }

        long total = 0;
        foreach (var entry in entries)
        {
            total += entry.SizeBytes;
            if (total > AssetFormat.MaxContentBytes)
            {
                throw new SealingException(
                    SealingError.LimitExceeded,
                    $"The files up to '{entry.Path}' have {total} bytes (limit {AssetFormat.MaxContentBytes}). Use several assets.");
            }
        }

        return total;
    }

    private static async Task<bool> SealSegmentAsync(
        Segment segment, Stream content, long size, HashedOutput output, byte[] buffer, CancellationToken cancellationToken)
    {
        var chunks = AssetFormat.ChunksOf(size);
        for (var left = size; chunks > 0; chunks--)
        {
            var length = (int)Math.Min(left, AssetFormat.ChunkBytes);
            if (await content.ReadAtLeastAsync(buffer.AsMemory(0, length), length, throwOnEndOfStream: false, cancellationToken) < length)
            {
                return false;
            }

            var sealedChunk = buffer.AsMemory(0, length + AssetFormat.TagBytes);
            segment.Seal(sealedChunk.Span, last: chunks == 1);
            await output.WriteAsync(sealedChunk, cancellationToken);
            left -= length;
        }

        return true;
    }

    /// <summary>Counts and hashes what goes out.</summary>
    private sealed class HashedOutput(Stream destination) : IDisposable
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public long Length { get; private set; }

        public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _hash.AppendData(bytes.Span);
            Length += bytes.Length;
            await destination.WriteAsync(bytes, cancellationToken);
        }

        public string Sha256() => Convert.ToHexStringLower(_hash.GetHashAndReset());

        public void Dispose() => _hash.Dispose();
    }
}
