using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;

namespace RenderTrust.Gateway.Tests.Blobs;

public sealed class FileBlobStoreTests : BlobStoreContract
{
    private readonly string folder = Directory.CreateTempSubdirectory("blob-store-").FullName;

    internal override IBlobStore CreateStore() => Create();

    [Fact]
    public async Task A_refused_blob_leaves_no_file_behind()
    {
        var sut = Create();
        var blob = SealedBytes.Random(1000);

        await sut.PutAsync(TenantId.New(), SealedBytes.Random(10).Sha256, blob.Open(), TestContext.Current.CancellationToken);

        Assert.Empty(Directory.GetFiles(folder, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Blobs_are_readable_by_the_gateways_user_only()
    {
        var sut = Create();
        var blob = SealedBytes.Random(1000);

        await sut.PutAsync(TenantId.New(), blob.Sha256, blob.Open(), TestContext.Current.CancellationToken);

        var file = Assert.Single(Directory.GetFiles(folder, blob.Sha256, SearchOption.AllDirectories));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.GetDirectoryName(file)!));
    }

    [Fact]
    public void What_a_crash_left_is_removed_once_it_is_old()
    {
        var sut = Create();
        var incoming = Directory.CreateDirectory(Path.Combine(folder, "incoming"));
        var (old, young) = (Path.Combine(incoming.FullName, "old"), Path.Combine(incoming.FullName, "young"));
        File.WriteAllText(old, "x");
        File.WriteAllText(young, "x");
        File.SetLastWriteTimeUtc(old, DateTime.UtcNow.AddDays(-2));

        Assert.Equal(1, sut.RemoveLeftovers(DateTimeOffset.UtcNow.AddDays(-1)));

        Assert.False(File.Exists(old));
        Assert.True(File.Exists(young));
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        Directory.Delete(folder, recursive: true);
    }

    private FileBlobStore Create() => new(Options.Create(new BlobOptions { Directory = folder, MaxUploadBytes = MaxBytes }));
}
