using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.Sealing;

/// <summary>One piece of a job. Its parameters are sealed: for many modules they are the script.</summary>
/// <param name="Index">0-based and dense: the position in the manifest.</param>
/// <param name="Parameters">What the module takes for this unit, over the job's own parameters.</param>
public sealed record ManifestUnit(int Index, JsonElement Parameters);

/// <summary>An asset of the job and the folder that its files appear in.</summary>
/// <param name="AssetId">The sealed asset.</param>
/// <param name="MountPath">Relative folder under the job's input, or empty for the input folder itself.</param>
public sealed record ManifestAsset(Guid AssetId, string MountPath);

/// <summary>What a job is, as only the creator and the nodes may know it. It travels as a sealed asset of its own.</summary>
public sealed record JobManifest
{
    public const int MaxBytes = 16 * 1_048_576;
    public const int MaxUnits = 100_000;
    public const int MaxAssets = 1_024;
    public const int MaxRecipients = 64;
    public const int MaxDeviceSeconds = 7 * 86_400;

    // Strict: a member that one reader skips and another obeys would let two parties see two manifests.
    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        MaxDepth = 64,
    };

    [JsonRequired]
    [JsonPropertyOrder(0)]
    public int FormatVersion { get; init; } = 1;

    /// <summary>The job's id, made by the client (UUIDv7).</summary>
    [JsonPropertyOrder(1)]
    public required Guid JobId { get; init; }

    /// <summary>The module that runs the units, as `name@version`.</summary>
    [JsonPropertyOrder(2)]
    public required string Module { get; init; }

    /// <summary>Parameters of all units.</summary>
    [JsonPropertyOrder(3)]
    public required JsonElement Parameters { get; init; }

    [JsonPropertyOrder(4)]
    public required IReadOnlyList<ManifestUnit> Units { get; init; }

    [JsonPropertyOrder(5)]
    public required IReadOnlyList<ManifestAsset> Assets { get; init; }

    /// <summary>Who may open the outputs, as <see cref="RecipientPublicKey.Encode"/>. Nodes take them from here only.</summary>
    [JsonPropertyOrder(6)]
    public required IReadOnlyList<string> OutputRecipients { get; init; }

    /// <summary>32 bytes that key the output hashes which the platform sees.</summary>
    [JsonPropertyOrder(7)]
    public required byte[] OutputHashKey { get; init; }

    /// <summary>Most device seconds that one unit may take.</summary>
    [JsonPropertyOrder(8)]
    public required int MaxUnitDeviceSeconds { get; init; }

    /// <summary>Most micro-credits that the creator pays for the job.</summary>
    [JsonPropertyOrder(9)]
    public required long CapMicrocredits { get; init; }

    public byte[] ToBytes()
    {
        Validate();
        return JsonSerializer.SerializeToUtf8Bytes(this, Json);
    }

    public static JobManifest Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes)
        {
            throw Invalid($"has {bytes.Length} bytes (limit {MaxBytes})");
        }

        try
        {
            var manifest = JsonSerializer.Deserialize<JobManifest>(bytes, Json) ?? throw Invalid("is null");
            manifest.Validate();
            return manifest;
        }
        catch (JsonException exception)
        {
            throw new SealingException(SealingError.InvalidManifest, $"The job manifest is not valid: {exception.Message}", exception);
        }
    }

    /// <summary>The recipients as keys; they are known to parse.</summary>
    public IReadOnlyList<RecipientPublicKey> OutputRecipientKeys() => [.. OutputRecipients.Select(RecipientPublicKey.Parse)];

    private static void Require(bool condition, string problem)
    {
        if (!condition)
        {
            throw Invalid(problem);
        }
    }

    private static SealingException Invalid(string problem) => new(SealingError.InvalidManifest, $"The job manifest {problem}.");

    private void Validate()
    {
        Require(FormatVersion == 1, $"has formatVersion {FormatVersion}, this build reads 1");
        Require(JobId != Guid.Empty, "has an empty jobId");
        Require(Module.Length is > 0 and <= 200, $"has a module of {Module.Length} characters (1 to 200 allowed)");
        Require(Parameters.ValueKind == JsonValueKind.Object, "needs an object as parameters");
        Require(Units.Count is > 0 and <= MaxUnits, $"has {Units.Count} units (1 to {MaxUnits} allowed)");
        Require(Assets.Count <= MaxAssets, $"has {Assets.Count} assets (limit {MaxAssets})");
        Require(OutputRecipients.Count is > 0 and <= MaxRecipients, $"has {OutputRecipients.Count} output recipients (1 to {MaxRecipients} allowed)");
        Require(OutputHashKey.Length == OutputHash.KeyBytes, $"has an output hash key of {OutputHashKey.Length} bytes ({OutputHash.KeyBytes} needed)");
        Require(MaxUnitDeviceSeconds is > 0 and <= MaxDeviceSeconds, $"allows {MaxUnitDeviceSeconds} device seconds a unit (1 to {MaxDeviceSeconds} allowed)");
        Require(CapMicrocredits >= 0, $"has a cap of {CapMicrocredits} micro-credits");
        for (var i = 0; i < Units.Count; i++)
        {
            Require(Units[i].Index == i, $"has unit {Units[i].Index} at position {i}: indexes are 0, 1, 2 and so on");
            Require(Units[i].Parameters.ValueKind == JsonValueKind.Object, $"needs an object as parameters of unit {i}");
        }

        Require(Assets.DistinctBy(asset => asset.AssetId).Count() == Assets.Count, "names an asset twice");
        foreach (var asset in Assets.Where(asset => asset.MountPath.Length > 0))
        {
            Require(AssetPath.Problem(asset.MountPath) is null, $"has the mount path '{asset.MountPath}', which {AssetPath.Problem(asset.MountPath)}");
        }

        Require(OutputRecipients.Distinct(StringComparer.Ordinal).Count() == OutputRecipients.Count, "names an output recipient twice");
        foreach (var recipient in OutputRecipients)
        {
            Require(RecipientPublicKey.TryParse(recipient, out _), $"has the output recipient '{recipient}', which is no P-256 key");
        }
    }
}

/// <summary>Seals and opens a job's manifest: an asset with the one file "manifest.json".</summary>
public static class Manifests
{
    public const string FileName = "manifest.json";

    private static readonly AssetLimits Limits = new()
    {
        MaxFiles = 1,
        MaxFileBytes = JobManifest.MaxBytes,
        MaxTotalBytes = JobManifest.MaxBytes,
    };

    public static Task<SealedAsset> SealAsync(
        SetKey key, Guid assetId, JobManifest manifest, Stream destination, CancellationToken cancellationToken) =>
        AssetSealer.SealAsync(key, assetId, [AssetSource.FromBytes(FileName, manifest.ToBytes())], destination, cancellationToken);

    public static (SealedAsset Asset, byte[] Bytes) SealBytes(SetKey key, Guid assetId, JobManifest manifest) =>
        AssetSealer.SealBytes(key, assetId, [KeyValuePair.Create(FileName, manifest.ToBytes())]);

    public static async Task<JobManifest> OpenAsync(SetKey key, Guid assetId, Stream source, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream();
        var entries = await AssetOpener.OpenAsync(
            key, assetId, source, (_, _) => Task.FromResult<Stream>(new Unclosed(content)), Limits, cancellationToken);
        return Parse(entries[0].Path, content.GetBuffer().AsSpan(0, (int)content.Length));
    }

    public static JobManifest OpenBytes(SetKey key, Guid assetId, ReadOnlyMemory<byte> container)
    {
        var (path, content) = AssetOpener.OpenBytes(key, assetId, container, Limits).Single();
        return Parse(path, content);
    }

    private static JobManifest Parse(string path, ReadOnlySpan<byte> content) => path == FileName
        ? JobManifest.Parse(content)
        : throw new SealingException(SealingError.InvalidManifest, $"The asset holds '{path}' and not '{FileName}': it is no job manifest.");

    /// <summary>The opener disposes of what it is given; the content is read after that.</summary>
    private sealed class Unclosed(MemoryStream inner) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => inner.Length;

        public override long Position { get => inner.Position; set => throw new NotSupportedException(); }

        public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
