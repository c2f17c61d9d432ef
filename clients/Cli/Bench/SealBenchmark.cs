using System.Security.Cryptography;
using RenderTrust.Sealing;

namespace RenderTrust.Cli.Bench;

/// <summary>Sealing one file in memory on one core, against the cipher alone: AES-256-GCM over the same bytes in chunks of the same size.</summary>
internal static class SealBenchmark
{
    private const int SizeBytes = 64 << 20;
    private const int ChunkBytes = 64 << 10;
    private const int Rounds = 6;

    public static async Task<IReadOnlyList<BenchFigure>> RunAsync(CancellationToken cancellationToken)
    {
        var content = RandomNumberGenerator.GetBytes(SizeBytes);
        using var key = SetKey.Generate();
        var (seals, ciphers) = await Latencies.InTurnAsync(
            () => Latencies.InARowAsync(Rounds, token => SealAsync(key, content, token), cancellationToken),
            () => Latencies.InARowAsync(Rounds, _ => Encrypt(content), cancellationToken));
        return [BenchFigure.HigherByRatio("seal", MegabytesPerSecond(seals), "MB/s", "AES-256-GCM alone, same run", MegabytesPerSecond(ciphers), target: null)];
    }

    private static double MegabytesPerSecond(Latencies latencies) => SizeBytes / 1e6 / (latencies.P50 / 1000);

    private static Task<SealedAsset> SealAsync(SetKey key, byte[] content, CancellationToken cancellationToken) =>
        AssetSealer.SealAsync(key, Guid.CreateVersion7(), [AssetSource.FromBytes("frame.exr", content)], Stream.Null, cancellationToken);

    private static Task Encrypt(byte[] content)
    {
        using var cipher = new AesGcm(RandomNumberGenerator.GetBytes(32), AesGcm.TagByteSizes.MaxSize);
        var (nonce, sealedChunk, tag) = (new byte[AesGcm.NonceByteSizes.MaxSize], new byte[ChunkBytes], new byte[AesGcm.TagByteSizes.MaxSize]);
        for (var offset = 0; offset < content.Length; offset += ChunkBytes)
        {
            BitConverter.TryWriteBytes(nonce, offset);
            cipher.Encrypt(nonce, content.AsSpan(offset, ChunkBytes), sealedChunk, tag);
        }

        return Task.CompletedTask;
    }
}
