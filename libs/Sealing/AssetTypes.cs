using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Sealing;

/// <summary>A file to seal. The stream is opened twice, once to measure it and once to seal it, so both must give the same bytes.</summary>
/// <param name="Path">Relative, with forward slashes.</param>
/// <param name="OpenAsync">Opens the content from its start. The sealer disposes of the stream.</param>
public sealed record AssetSource(string Path, Func<CancellationToken, Task<Stream>> OpenAsync)
{
    public static AssetSource FromBytes(string path, ReadOnlyMemory<byte> content) =>
        new(path, _ => Task.FromResult<Stream>(new MemoryStream(content.ToArray(), writable: false)));

    public static AssetSource FromFile(string path, string fileName) =>
        new(path, _ => Task.FromResult<Stream>(new FileStream(fileName, FileMode.Open, FileAccess.Read, FileShare.Read, 65_536, useAsync: true)));
}

/// <summary>A file inside an asset.</summary>
public sealed record AssetEntry(string Path, long SizeBytes);

/// <summary>What sealing produced.</summary>
/// <param name="AssetId">The asset's id, also inside the container.</param>
/// <param name="BlobSha256">Lower hex SHA-256 of the container.</param>
/// <param name="SizeBytes">Length of the container.</param>
/// <param name="Entries">The files, in the order of their UTF-8 bytes, as in the container.</param>
public sealed record SealedAsset(Guid AssetId, string BlobSha256, long SizeBytes, IReadOnlyList<AssetEntry> Entries);

/// <summary>How much an opener is willing to take. The defaults are the format's own limits; lower them to what is at hand.</summary>
public sealed record AssetLimits
{
    public static AssetLimits Default { get; } = new();

    /// <summary>Most files in one asset.</summary>
    [Range(1, AssetFormat.MaxFiles)]
    public int MaxFiles { get; init; } = AssetFormat.MaxFiles;

    /// <summary>Most bytes in one file.</summary>
    [Range(0, AssetFormat.MaxContentBytes)]
    public long MaxFileBytes { get; init; } = AssetFormat.MaxContentBytes;

    /// <summary>Most bytes in all files together.</summary>
    [Range(0, AssetFormat.MaxContentBytes)]
    public long MaxTotalBytes { get; init; } = AssetFormat.MaxContentBytes;

    /// <summary>Most UTF-8 bytes in one path.</summary>
    [Range(1, AssetFormat.MaxPathBytes)]
    public int MaxPathBytes { get; init; } = AssetFormat.MaxPathBytes;
}
