using System.IO.Pipelines;

namespace RenderTrust.Sealing.Tests;

/// <summary>Alone, since what other tests allocate meanwhile would count.</summary>
[CollectionDefinition(nameof(BigStreamTests), DisableParallelization = true)]
[Collection(nameof(BigStreamTests))]
public sealed class BigStreamTests
{
    /// <summary>RENDERTRUST_LONG=1 takes 2 GiB, which also passes the 31-bit edges; the short form shows the same flat memory.</summary>
    private static readonly long Length = Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1" ? (2L << 30) + 12_345 : (64 << 20) + 12_345;

    [Fact]
    public async Task A_big_file_streams_through_sealing_and_opening_in_constant_memory()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 1 << 18, resumeWriterThreshold: 1 << 17, useSynchronizationContext: false));
        var check = new PatternCheck();
        var allocatedBefore = GC.GetTotalAllocatedBytes();

        var sealing = Task.Run(
            async () =>
            {
                var source = new AssetSource("big.bin", _ => Task.FromResult<Stream>(new PatternStream(Length)));
                var asset = await AssetSealer.SealAsync(Samples.Key, Samples.AssetId, [source], pipe.Writer.AsStream(), cancellationToken);
                await pipe.Writer.CompleteAsync();
                return asset;
            },
            cancellationToken);
        var entries = await AssetOpener.OpenAsync(
            Samples.Key, Samples.AssetId, pipe.Reader.AsStream(), (_, _) => Task.FromResult<Stream>(check), AssetLimits.Default, cancellationToken);
        var sealedAsset = await sealing;

        Assert.Equal(Length, check.Written);
        Assert.Equal(Length, Assert.Single(entries).SizeBytes);
        Assert.True(sealedAsset.SizeBytes > Length);
        // Not what is alive but all that was ever allocated, by the pipe and the test host too: a few hundred bytes a chunk at most.
        var allocated = GC.GetTotalAllocatedBytes() - allocatedBefore;
        Assert.True(allocated < (16 << 20) + (Length / 65_536 * 2_048), $"{allocated} bytes were allocated for {Length} bytes of content.");
    }
}
