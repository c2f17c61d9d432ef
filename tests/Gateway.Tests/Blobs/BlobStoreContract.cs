using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;

namespace RenderTrust.Gateway.Tests.Blobs;

/// <summary>What every blob store must do, whatever it keeps its bytes in.</summary>
public abstract class BlobStoreContract : IDisposable
{
    private readonly string scratch = Directory.CreateTempSubdirectory("blob-contract-").FullName;

    internal const int MaxBytes = 1_000_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>An empty store that takes at most <see cref="MaxBytes"/> per blob.</summary>
    internal abstract IBlobStore CreateStore();

    [Theory]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(131_072)]
    [InlineData(131_073)]
    [InlineData(MaxBytes)]
    public async Task What_was_stored_is_read_back(int length)
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(length);

        Assert.Equal(PutOutcome.Stored, await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token));

        Assert.True(await sut.ExistsAsync(tenant, blob.Sha256, Token));
        await using var read = await sut.OpenReadAsync(tenant, blob.Sha256, Token);
        Assert.Equal(length, read!.LengthBytes);
        Assert.Equal(blob.Bytes, await ReadAsync(read.Content));
    }

    [Fact]
    public async Task A_part_can_be_read_by_seeking()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(10_000);
        await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token);

        await using var read = await sut.OpenReadAsync(tenant, blob.Sha256, Token);
        read!.Content.Seek(9_990, SeekOrigin.Begin);

        Assert.Equal(blob.Bytes[9_990..], await ReadAsync(read.Content));
    }

    [Fact]
    public async Task Storing_the_same_again_changes_nothing()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(1000);
        await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token);

        Assert.Equal(PutOutcome.AlreadyThere, await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token));
        Assert.Equal(PutOutcome.AlreadyThere, await sut.PutAsync(tenant, blob.Sha256, new MemoryStream("other"u8.ToArray()), Token));

        await using var read = await sut.OpenReadAsync(tenant, blob.Sha256, Token);
        Assert.Equal(blob.Bytes, await ReadAsync(read!.Content));
    }

    [Fact]
    public async Task Another_tenants_blob_looks_like_one_that_is_not_there()
    {
        var sut = CreateStore();
        var blob = SealedBytes.Random(1000);
        await sut.PutAsync(TenantId.New(), blob.Sha256, blob.Open(), Token);
        var stranger = TenantId.New();

        Assert.False(await sut.ExistsAsync(stranger, blob.Sha256, Token));
        Assert.Null(await sut.OpenReadAsync(stranger, blob.Sha256, Token));
        Assert.Equal(PutOutcome.Stored, await sut.PutAsync(stranger, blob.Sha256, blob.Open(), Token));
    }

    [Fact]
    public async Task Bytes_of_another_hash_are_not_kept()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(1000);
        var corrupted = blob.Bytes.ToArray();
        corrupted[^1] ^= 1;

        Assert.Equal(PutOutcome.HashMismatch, await sut.PutAsync(tenant, blob.Sha256, new MemoryStream(corrupted), Token));
        Assert.Equal(PutOutcome.HashMismatch, await sut.PutAsync(tenant, blob.Sha256, new MemoryStream(blob.Bytes[..^1]), Token));

        Assert.False(await sut.ExistsAsync(tenant, blob.Sha256, Token));
    }

    [Theory]
    [InlineData("")]
    [InlineData("RTSEAL1")]
    [InlineData("rtseal1\nxxxx")]
    [InlineData("camera { location <0, 2, -9> }")]
    public async Task What_is_not_sealed_is_not_kept(string plaintext)
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Of(System.Text.Encoding.UTF8.GetBytes(plaintext));

        Assert.Equal(PutOutcome.NotSealed, await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token));

        Assert.False(await sut.ExistsAsync(tenant, blob.Sha256, Token));
    }

    [Fact]
    public async Task A_blob_over_the_limit_is_not_kept()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(MaxBytes + 1);

        Assert.Equal(PutOutcome.TooLarge, await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token));

        Assert.False(await sut.ExistsAsync(tenant, blob.Sha256, Token));
    }

    [Fact]
    public async Task A_source_that_breaks_off_leaves_nothing()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(500_000);

        await Assert.ThrowsAsync<IOException>(() => sut.PutAsync(tenant, blob.Sha256, new BreakingStream(blob.Bytes, 300_000), Token));

        Assert.False(await sut.ExistsAsync(tenant, blob.Sha256, Token));
        Assert.Equal(PutOutcome.Stored, await sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token));
    }

    [Fact]
    public async Task Writers_of_the_same_blob_at_the_same_time_all_succeed()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(300_000);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => sut.PutAsync(tenant, blob.Sha256, blob.Open(), Token))));

        Assert.All(outcomes, outcome => Assert.True(outcome is PutOutcome.Stored or PutOutcome.AlreadyThere, $"{outcome}"));
        await using var read = await sut.OpenReadAsync(tenant, blob.Sha256, Token);
        Assert.Equal(blob.Bytes, await ReadAsync(read!.Content));
    }

    [Fact]
    public async Task A_local_file_is_taken_over_and_its_name_is_gone()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var blob = SealedBytes.Random(50_000);
        var (first, second) = (Write(blob.Bytes), Write(blob.Bytes));

        Assert.Equal(PutOutcome.Stored, await AdoptAsync(sut, tenant, blob.Sha256, first));
        Assert.Equal(PutOutcome.AlreadyThere, await AdoptAsync(sut, tenant, blob.Sha256, second));

        Assert.False(File.Exists(first));
        Assert.False(File.Exists(second));
        await using var read = await sut.OpenReadAsync(tenant, blob.Sha256, Token);
        Assert.Equal(blob.Bytes, await ReadAsync(read!.Content));
    }

    [Fact]
    public async Task A_local_file_that_is_refused_stays_with_the_caller()
    {
        var sut = CreateStore();
        var tenant = TenantId.New();
        var file = Write(SealedBytes.Random(1000).Bytes);
        var other = SealedBytes.Random(1000).Sha256;

        Assert.Equal(PutOutcome.HashMismatch, await AdoptAsync(sut, tenant, other, file));

        Assert.True(File.Exists(file));
        Assert.False(await sut.ExistsAsync(tenant, other, Token));
    }

    [Theory]
    [InlineData("../../../../etc/passwd")]
    [InlineData("ABCDEF0000000000000000000000000000000000000000000000000000000000")]
    [InlineData("00")]
    public async Task A_name_that_is_no_hash_never_becomes_a_path(string name)
    {
        var sut = CreateStore();

        await Assert.ThrowsAsync<ArgumentException>(() => sut.ExistsAsync(TenantId.New(), name, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => sut.OpenReadAsync(TenantId.New(), name, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => sut.PutAsync(TenantId.New(), name, Stream.Null, Token));
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => Directory.Delete(scratch, recursive: true);

    /// <summary>A file on the file system that uploads are kept on.</summary>
    protected virtual string Write(byte[] bytes)
    {
        var path = Path.Combine(scratch, Path.GetRandomFileName());
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private static async Task<PutOutcome> AdoptAsync(IBlobStore store, TenantId tenant, string sha256, string path)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 0, useAsync: true);
        return await store.AdoptAsync(tenant, sha256, file, Token);
    }

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        using var memory = new MemoryStream();
        await stream.CopyToAsync(memory, Token);
        return memory.ToArray();
    }

    private sealed class BreakingStream(byte[] bytes, int breakAt) : MemoryStream(bytes)
    {
        public override int Read(Span<byte> buffer) =>
            Position >= breakAt ? throw new IOException("the connection broke") : base.Read(buffer[..Math.Min(buffer.Length, breakAt - (int)Position)]);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return ValueTask.FromResult(Read(buffer.Span));
            }
            catch (IOException exception)
            {
                return ValueTask.FromException<int>(exception);
            }
        }
    }
}
