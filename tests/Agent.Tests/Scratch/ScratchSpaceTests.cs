using RenderTrust.Agent.Hosting;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Tests.Scratch;

public sealed class ScratchSpaceTests : IDisposable
{
    private readonly string _parent = Directory.CreateDirectory($"/dev/shm/rendertrust-scratch-{Guid.NewGuid():N}").FullName;

    private string Root => Path.Combine(_parent, "rendertrust-node");

    public void Dispose() => Directory.Delete(_parent, recursive: true);

    [Fact]
    public void The_folder_is_this_user_s_alone_also_when_it_was_there_before()
    {
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(Root, Modes.OpenFolder).FullName, "left"), "over");

        var scratch = ScratchSpace.Open(_parent, "node", 1);

        Assert.Equal(Modes.Private, File.GetUnixFileMode(scratch.Root));
        Assert.Equal(Native.UserId, Native.StatusOf(scratch.Root)!.Value.Owner);
        Assert.Empty(Directory.EnumerateFileSystemEntries(scratch.Root));
    }

    [Fact]
    public void A_link_in_its_place_is_not_followed()
    {
        var elsewhere = Directory.CreateDirectory(Path.Combine(_parent, "elsewhere")).FullName;
        File.WriteAllText(Path.Combine(elsewhere, "kept"), "");
        Directory.CreateSymbolicLink(Root, elsewhere);

        var scratch = ScratchSpace.Open(_parent, "node", 1);

        Assert.Null(new FileInfo(scratch.Root).LinkTarget);
        Assert.True(File.Exists(Path.Combine(elsewhere, "kept")));
    }

    [Fact]
    public void Anything_else_in_its_place_keeps_the_node_from_starting()
    {
        File.CreateSymbolicLink(Root, Path.Combine(_parent, "nowhere"));

        var refusal = Assert.Throws<NodeStartException>(() => ScratchSpace.Open(_parent, "node", 1));

        Assert.Contains("--scratch", refusal.Message, StringComparison.Ordinal);
    }
}
