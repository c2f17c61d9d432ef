using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using RenderTrust.Agent.Images;
using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Tests.Running;

/// <summary>Archives that try to reach the machine while they are unpacked, which happens with the agent's own rights.</summary>
public sealed class ImageStoreTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("rendertrust-images-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_link_that_leaves_the_root_only_when_another_link_is_followed_is_refused()
    {
        var outside = Directory.CreateDirectory(Path.Combine(folder, "images", "x")).FullName;

        // As text "p/q/m/../../x" is "p/x"; but m leads to the root, and two folders above that is the store itself.
        var refusal = await Assert.ThrowsAsync<UnitFailedException>(() => UnpackAsync(
            Link("p/q/m", "../.."), Link("l", "p/q/m/../../x"), File("l/file", "planted")));

        Assert.Equal(FailureClass.DigestMismatch, refusal.FailureClass);
        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
    }

    [Fact]
    public async Task A_hard_link_to_a_link_brings_nothing_of_the_machine_into_the_image()
    {
        var secret = Path.Combine(folder, "secret");
        await System.IO.File.WriteAllTextAsync(secret, "of the machine", TestContext.Current.CancellationToken);

        var image = await UnpackAsync(Link("a", secret), new PaxTarEntry(TarEntryType.HardLink, "b") { LinkName = "a" });

        Assert.Equal(secret, new FileInfo(Path.Combine(image.Rootfs, "b")).LinkTarget);
    }

    [Fact]
    public async Task A_link_in_the_place_of_a_mount_point_is_not_followed()
    {
        var outside = Directory.CreateDirectory(Path.Combine(folder, "outside")).FullName;

        var image = await UnpackAsync(Link("job", outside), Link("proc", outside));

        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
        Assert.Null(new FileInfo(Path.Combine(image.Rootfs, "proc")).LinkTarget);
    }

    [Fact]
    public async Task Links_inside_of_the_image_are_followed_also_when_they_are_absolute()
    {
        var image = await UnpackAsync(
            new PaxTarEntry(TarEntryType.Directory, "usr/lib"), new PaxTarEntry(TarEntryType.Directory, "run"),
            Link("lib", "usr/lib"), Link("var/run", "/run"), File("lib/a", "1"), File("var/run/b", "2"));

        Assert.True(System.IO.File.Exists(Path.Combine(image.Rootfs, "usr/lib/a")));
        Assert.True(System.IO.File.Exists(Path.Combine(image.Rootfs, "run/b")));
    }

    [Fact]
    public async Task A_removal_mark_cannot_name_the_folder_above()
    {
        var image = await UnpackAsync(File("keep", "1"), File("sub/.wh..", ""), File("other", "2"), File("gone", "3"), File(".wh.gone", ""));

        Assert.True(System.IO.File.Exists(Path.Combine(image.Rootfs, "keep")));
        Assert.False(System.IO.File.Exists(Path.Combine(image.Rootfs, "gone")));
        await Assert.ThrowsAsync<UnitFailedException>(() => UnpackAsync(File("keep", "1"), File(".wh...", "")));
    }

    [Theory]
    [InlineData("127.0.0.1:5000", true, true)]
    [InlineData("localhost", true, true)]
    [InlineData("127.0.0.1:5000", false, false)]
    [InlineData("registry.example:5000", false, true)]
    [InlineData("registry.example:5000", true, true)]
    [InlineData("registry.example", false, false)]
    [InlineData("registry.example:22", true, false)]
    [InlineData("169.254.169.254", true, false)]
    public void Images_come_from_the_owner_s_registries_and_in_development_from_this_machine(string registry, bool development, bool taken)
    {
        var sources = new ImageSources(["registry.example:5000"], development);
        var image = ModuleImage.Parse(registry + "/test/image", "sha256:" + new string('0', 64));

        if (taken)
        {
            sources.Require(image);
        }
        else
        {
            Assert.Contains(registry, Assert.Throws<UnitFailedException>(() => sources.Require(image)).Message, StringComparison.Ordinal);
        }

        Assert.Equal(taken, sources.Allows(new RootfsTarball($"https://{registry}/rootfs.tar", "")));
    }

    [Fact]
    public void Root_file_systems_of_this_machine_are_regular_files_and_taken_in_development_only()
    {
        var file = Path.Combine(folder, "rootfs.tar");
        System.IO.File.WriteAllText(file, "");
        System.IO.File.CreateSymbolicLink(file + ".link", file);
        var development = new ImageSources([], development: true);

        Assert.True(development.Allows(new RootfsTarball(file, "")));
        Assert.All(["/dev/zero", folder, file + ".link", file + ".none"], path => Assert.False(development.Allows(new RootfsTarball(path, ""))));
        Assert.False(new ImageSources([], development: false).Allows(new RootfsTarball(file, "")));
    }

    [Fact]
    public async Task A_registry_cannot_send_the_node_elsewhere_and_the_reason_tells_no_status()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var registry = builder.Build();
        var asked = new System.Collections.Concurrent.ConcurrentQueue<string>();
        registry.Run(context =>
        {
            asked.Enqueue(context.Request.Path);
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        });
        await registry.StartAsync(TestContext.Current.CancellationToken);
        using var store = new ImageStore(Path.Combine(folder, "images"), new ImageSources([], development: true), ImageStore.Client());
        var image = ModuleImage.Parse(new Uri(registry.Urls.First()).Authority + "/test/image", "sha256:" + new string('a', 64));

        var refusal = await Assert.ThrowsAsync<UnitFailedException>(() => store.UnpackAsync(image, TestContext.Current.CancellationToken));

        Assert.Single(asked);
        Assert.DoesNotContain("302", refusal.Message, StringComparison.Ordinal);
    }

    private static PaxTarEntry Link(string name, string target) => new(TarEntryType.SymbolicLink, name) { LinkName = target };

    private static PaxTarEntry File(string name, string text) => new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) };

    private async Task<UnpackedImage> UnpackAsync(params TarEntry[] entries)
    {
        var packed = Path.Combine(folder, $"{Guid.NewGuid():N}.tar");
        await using (var writer = new TarWriter(System.IO.File.Create(packed)))
        {
            foreach (var entry in entries)
            {
                await writer.WriteEntryAsync(entry, TestContext.Current.CancellationToken);
            }
        }

        var sha256 = Convert.ToHexStringLower(SHA256.HashData(await System.IO.File.ReadAllBytesAsync(packed, TestContext.Current.CancellationToken)));
        using var store = new ImageStore(Path.Combine(folder, "images"), new ImageSources([], development: true), ImageStore.Client());
        return await store.UnpackAsync(new ModuleImage("127.0.0.1:5000/test/image", "sha256:" + new string('0', 64), new RootfsTarball(packed, sha256)), TestContext.Current.CancellationToken);
    }
}
