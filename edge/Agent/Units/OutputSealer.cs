using System.Text;
using Google.Protobuf;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;
using RenderTrust.EdgeProtocol;
using RenderTrust.Sealing;
using Grant = RenderTrust.EdgeProtocol.Grant;

namespace RenderTrust.Agent.Units;

/// <summary>
/// Seals what a module left: one asset per file, a fresh key each, granted to the recipients that the sealed manifest names and to
/// nobody else. Only ciphertext is written outside of scratch.
/// </summary>
internal static class OutputSealer
{
    private const int OutputFilesMax = 1000;

    public static async Task<IReadOnlyList<Output>> SealAsync(
        JobManifest manifest, string manifestSha256, string outputFolder, string targetFolder, CancellationToken cancellationToken)
    {
        var files = Directory.EnumerateFiles(outputFolder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint })
            .Select(file => (File: file, Path: Path.GetRelativePath(outputFolder, file)))
            .Where(file => !file.Path.Split('/').Any(segment => segment.StartsWith('.')))
            .OrderBy(file => file.Path, StringComparer.Ordinal).Take(OutputFilesMax + 1).ToArray();
        if (files.Length == 0)
        {
            throw new UnitFailedException(FailureClass.ModuleFailed, "The module succeeded without leaving a file in /job/out.");
        }

        if (files.Length > OutputFilesMax)
        {
            throw new UnitFailedException(FailureClass.ModuleFailed, $"The module left more than {OutputFilesMax} files in /job/out. Let it pack them.");
        }

        var outputs = new List<Output>(files.Length);
        foreach (var (file, path) in files)
        {
            outputs.Add(await SealOneAsync(manifest, manifestSha256, AssetSource.FromFile(path, file), targetFolder, cancellationToken));
        }

        return outputs;
    }

    /// <summary>The module's log, for the creator's eyes: the platform only carries it.</summary>
    public static async Task<Output> SealLogAsync(JobManifest manifest, string manifestSha256, ModuleLog log, string targetFolder, CancellationToken cancellationToken) =>
        await SealOneAsync(manifest, manifestSha256, AssetSource.FromBytes("log.txt", Encoding.UTF8.GetBytes(log.ToText())), targetFolder, cancellationToken);

    private static async Task<Output> SealOneAsync(
        JobManifest manifest, string manifestSha256, AssetSource source, string targetFolder, CancellationToken cancellationToken)
    {
        using var setKey = SetKey.Generate();
        var assetId = Guid.CreateVersion7();
        var temporary = Path.Combine(targetFolder, assetId.ToString("N"));
        SealedAsset sealedAsset;
        try
        {
            await using var target = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Modes.PrivateFile, BufferSize = 128 * 1024 });
            sealedAsset = await AssetSealer.SealAsync(setKey, assetId, [source], target, cancellationToken);
            Fsync.File(target);
        }
        catch (SealingException exception)
        {
            throw new UnitFailedException(FailureClass.ModuleFailed, $"An output file cannot be sealed ({exception.Error}): its name or size is outside of what the asset format allows.", exception);
        }

        File.Move(temporary, Path.Combine(targetFolder, sealedAsset.BlobSha256));
        await using var plaintext = await source.OpenAsync(cancellationToken);
        var output = new Output
        {
            AssetId = assetId.ToString("D"),
            BlobSha256 = sealedAsset.BlobSha256,
            SizeBytes = sealedAsset.SizeBytes,
            KeyedHash = await OutputHash.ComputeAsync(manifest.OutputHashKey, source.Path, plaintext, cancellationToken),
        };
        var context = new GrantContext(manifest.JobId, manifestSha256, assetId);
        output.Grants.Add(manifest.OutputRecipientKeys().Select(recipient =>
        {
            var grant = Grants.Seal(setKey, recipient, context);
            return new Grant
            {
                AssetId = output.AssetId,
                RecipientKeyId = grant.RecipientKeyId,
                EncapsulatedKey = UnsafeByteOperations.UnsafeWrap(grant.EncapsulatedKey),
                WrappedKey = UnsafeByteOperations.UnsafeWrap(grant.WrappedKey),
            };
        }));
        return output;
    }
}
