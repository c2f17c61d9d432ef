using System.Security.Cryptography;
using System.Text;
using CsCheck;

namespace RenderTrust.Sealing.Tests;

public sealed class AssetTests
{
    private const int Chunk = 65_536;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(Chunk - 1)]
    [InlineData(Chunk)]
    [InlineData(Chunk + 1)]
    [InlineData((3 * Chunk) + 7)]
    public void A_file_of_any_length_comes_back(int length)
    {
        var content = Samples.Bytes(length);

        var container = Samples.Seal(("scene.pov", content));

        Assert.Equal(content, Assert.Single(Samples.Open(container)).Value);
        Assert.Equal(96 + 32 + (2 + 9 + 8 + 16) + length + (16 * Math.Max(1, (length + Chunk - 1) / Chunk)), container.Length);
    }

    [Fact]
    public void Any_set_of_files_comes_back()
    {
        var name = Gen.Char["abcdefghijklmnopqrstuvwxyz0123456789_-äß漢"].Array[1, 12].Select(letters => new string(letters));
        var path = name.Array[1, 4].Select(parts => string.Join('/', parts.Select((part, depth) => $"{depth}{part}")));
        var file = Gen.Select(path, Gen.Byte.Array[0, 300]);

        file.Array[1, 12].Where(files => TryCheck(files.Select(f => f.Item1))).Sample(
            files =>
            {
                using var key = SetKey.Generate();
                var assetId = Guid.CreateVersion7();
                var (asset, container) = AssetSealer.SealBytes(key, assetId, files.Select(f => KeyValuePair.Create(f.Item1, f.Item2)));

                var opened = AssetOpener.OpenBytes(key, assetId, container);

                Assert.Equal(files.Length, opened.Count);
                Assert.All(files, f => Assert.Equal(f.Item2, opened[f.Item1]));
                Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(container)), asset.BlobSha256);
                Assert.Equal(container.Length, asset.SizeBytes);
            },
            iter: 200);
    }

    [Fact]
    public void Sealing_twice_gives_different_bytes()
    {
        var first = Samples.Seal(("a", [1, 2, 3]));
        var second = Samples.Seal(("a", [1, 2, 3]));

        Assert.NotEqual(first[96..], second[96..]);
        Assert.NotEqual(first[32..96], second[32..96]);
    }

    [Fact]
    public void Neither_paths_nor_content_show()
    {
        var container = Encoding.Latin1.GetString(Samples.Seal(("secret-name.txt", Encoding.ASCII.GetBytes(new string('S', 500)))));

        Assert.DoesNotContain("secret-name", container, StringComparison.Ordinal);
        Assert.DoesNotContain("SSSS", container, StringComparison.Ordinal);
    }

    [Fact]
    public void A_container_shows_its_asset_id_without_a_key()
    {
        var container = Samples.Seal(("a", [1]));

        Assert.True(AssetOpener.LooksSealed(container.AsSpan(0, AssetOpener.HeaderBytes), out var assetId));
        Assert.Equal(Samples.AssetId, assetId);
        Assert.False(AssetOpener.LooksSealed(container.AsSpan(0, AssetOpener.HeaderBytes - 1), out _));
        Assert.False(AssetOpener.LooksSealed(Encoding.ASCII.GetBytes(new string('#', 500)), out _));
    }

    [Fact]
    public void Every_flipped_bit_is_noticed()
    {
        var container = Samples.Seal(("a.txt", "hello"u8.ToArray()), ("b.txt", []), ("c.txt", [7]));

        for (var i = 0; i < container.Length; i++)
        {
            for (var bit = 0; bit < 8; bit++)
            {
                var changed = container.ToArray();
                changed[i] ^= (byte)(1 << bit);

                var expected = i switch
                {
                    < 8 => SealingError.NotSealed,
                    < 16 => SealingError.UnsupportedVersion,
                    < 32 => SealingError.WrongAsset,
                    < 96 => SealingError.WrongKey,
                    _ => SealingError.Corrupted,
                };
                Assert.Equal(expected, Samples.ErrorOf(changed));
            }
        }
    }

    [Fact]
    public void Every_truncation_is_noticed()
    {
        var container = Samples.Seal(("a.txt", "hello"u8.ToArray()), ("b.txt", []), ("c.txt", [7]));

        for (var length = 0; length < container.Length; length++)
        {
            Assert.Equal(SealingError.Truncated, Samples.ErrorOf(container[..length]));
        }
    }

    [Fact]
    public void A_file_cut_at_a_chunk_is_noticed()
    {
        var container = Samples.Seal(("a.bin", Samples.Bytes(3 * Chunk)));

        Assert.Equal(SealingError.Truncated, Samples.ErrorOf(container[..^(Chunk + 16)]));
    }

    [Fact]
    public void A_short_file_that_is_no_sealed_asset_is_called_that()
    {
        Assert.Equal(SealingError.NotSealed, Samples.ErrorOf("plain"u8.ToArray()));
        Assert.Equal(SealingError.NotSealed, Samples.ErrorOf(Encoding.ASCII.GetBytes(new string('x', 4_096))));
    }

    [Fact]
    public void Reordered_chunks_are_noticed()
    {
        var container = Samples.Seal(("a.bin", Samples.Bytes(3 * Chunk)));
        var start = container.Length - (3 * (Chunk + 16));
        byte[] changed =
        [
            .. container[..start],
            .. container[(start + Chunk + 16)..(start + (2 * (Chunk + 16)))],
            .. container[start..(start + Chunk + 16)],
            .. container[(start + (2 * (Chunk + 16)))..],
        ];

        Assert.Equal(SealingError.Corrupted, Samples.ErrorOf(changed));
    }

    [Fact]
    public void Files_swapped_within_an_asset_are_noticed()
    {
        var container = Samples.Seal(("a", [1, 1, 1]), ("b", [2, 2, 2]));
        byte[] changed = [.. container[..^38], .. container[^19..], .. container[^38..^19]];

        Assert.Equal(SealingError.Corrupted, Samples.ErrorOf(changed));
    }

    [Fact]
    public void A_file_from_another_sealing_of_the_same_asset_is_noticed()
    {
        var first = Samples.Seal(("a", [1, 1, 1]));
        var second = Samples.Seal(("a", [2, 2, 2]));

        Assert.Equal(SealingError.Corrupted, Samples.ErrorOf([.. first[..^19], .. second[^19..]]));
    }

    [Fact]
    public void A_file_from_another_asset_under_the_same_key_is_noticed()
    {
        var other = Samples.Seal(Samples.Key, Guid.CreateVersion7(), ("a", [1, 1, 1]));
        var container = Samples.Seal(("a", [1, 1, 1]));

        Assert.Equal(SealingError.Corrupted, Samples.ErrorOf([.. container[..^19], .. other[^19..]]));
    }

    [Fact]
    public void Another_assets_container_under_this_assets_id_is_noticed()
    {
        var other = Samples.Seal(Samples.Key, Guid.CreateVersion7(), ("a", [1]));
        Assert.Equal(SealingError.WrongAsset, Samples.ErrorOf(other));

        Samples.AssetId.TryWriteBytes(other.AsSpan(16), bigEndian: true, out _);
        Assert.Equal(SealingError.WrongKey, Samples.ErrorOf(other));
    }

    [Fact]
    public void Trailing_bytes_are_noticed()
    {
        var container = Samples.Seal(("a", [1]));

        Assert.Equal(SealingError.TrailingData, Samples.ErrorOf([.. container, 0]));
        Assert.Equal(SealingError.TrailingData, Samples.ErrorOf([.. container, .. container]));
    }

    [Fact]
    public void Another_set_key_is_called_a_wrong_key()
    {
        using var other = SetKey.Generate();
        var container = Samples.Seal(("a", [1]));

        Assert.Equal(SealingError.WrongKey, Samples.ErrorOf(() => AssetOpener.OpenBytes(other, Samples.AssetId, container)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/etc/passwd")]
    [InlineData("../up")]
    [InlineData("a/../../up")]
    [InlineData("a/./b")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("a\\b")]
    [InlineData("C:/windows")]
    [InlineData("nul\0byte")]
    [InlineData("new\nline")]
    [InlineData("dot.")]
    [InlineData("space /x")]
    public void Hostile_paths_are_refused_when_sealing_and_when_opening(string path)
    {
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(() => Samples.Seal((path, []))));

        var hostile = Samples.Forge(1, 0, Samples.Index((Encoding.UTF8.GetBytes(path), 0)), (path, []));
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(hostile));
    }

    [Fact]
    public void Paths_that_are_no_valid_Unicode_are_refused()
    {
        byte[] surrogate = [0xED, 0xA0, 0x80, 0x41];

        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(() => Samples.Seal(("\ud800lonely", []))));
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(Samples.Forge(1, 0, Samples.Index((surrogate, 0)))));
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(Samples.Forge(1, 0, Samples.Index(([0xC0, 0x80], 0)))));
    }

    [Fact]
    public void Paths_over_the_limits_are_refused()
    {
        var longPart = new string('a', 256);
        var longPath = string.Join('/', Enumerable.Repeat(new string('a', 200), 6));

        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(() => Samples.Seal((longPart, []))));
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(() => Samples.Seal((longPath, []))));
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(Samples.Forge(1, 0, Samples.Index((Encoding.ASCII.GetBytes(longPath), 0)), (longPath, []))));
        Assert.Equal(SealingError.UnsafePath, Samples.ErrorOf(Samples.Seal(("abcdef", [])), new AssetLimits { MaxPathBytes = 5 }));
    }

    [Theory]
    [InlineData("a", "a")]
    [InlineData("Frame.png", "frame.png")]
    [InlineData("a", "a/b")]
    [InlineData("a/B", "A/b")]
    public void Paths_that_could_name_the_same_place_are_refused(string first, string second)
    {
        var error = Samples.ErrorOf(() => AssetSealer.SealBytes(
            Samples.Key, Samples.AssetId, [KeyValuePair.Create(first, new byte[1]), KeyValuePair.Create(second, new byte[1])]));
        Assert.Equal(SealingError.DuplicatePath, error);

        var ordered = new[] { first, second }.Order(StringComparer.Ordinal).Select(path => (Encoding.UTF8.GetBytes(path), 0L)).ToArray();
        Assert.Equal(SealingError.DuplicatePath, Samples.ErrorOf(Samples.Forge(2, 0, Samples.Index(ordered), (first, []), (second, []))));
    }

    [Fact]
    public void An_authentic_but_malformed_index_is_refused()
    {
        var b = ("b"u8.ToArray(), 0L);
        var a = ("a"u8.ToArray(), 0L);

        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(2, 0, Samples.Index(b, a))));
        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(2, 0, Samples.Index(a))));
        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(1, 0, Samples.Index(a, b))));
        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(1, 1, Samples.Index(a))));
        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(0, 0, [])));
        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(1, 0, Samples.Index(a)[..^1])));
        Assert.Equal(SealingError.MalformedIndex, Samples.ErrorOf(Samples.Forge(1, 0, [0xFF, 0xFF, 0x41])));
    }

    [Fact]
    public void Limits_of_the_opener_are_kept_before_anything_is_created()
    {
        var container = Samples.Seal(("a", [1, 2, 3]), ("b", [4, 5]));

        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(container, new AssetLimits { MaxFiles = 1 }));
        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(container, new AssetLimits { MaxFileBytes = 2 }));
        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(container, new AssetLimits { MaxTotalBytes = 4 }));
        Assert.Equal(2, AssetOpener.OpenBytes(Samples.Key, Samples.AssetId, container, new AssetLimits { MaxFiles = 2, MaxFileBytes = 3, MaxTotalBytes = 5 }).Count);
    }

    [Fact]
    public void Sizes_that_claim_the_impossible_are_refused_without_allocating()
    {
        var huge = Samples.Index(("a"u8.ToArray(), -1L));

        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(Samples.Forge(1, ulong.MaxValue, huge)));
        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(Samples.Forge(1, 0, huge)));
        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(Samples.Forge(uint.MaxValue, 0, huge)));
    }

    [Fact]
    public void An_asset_without_files_is_refused() =>
        Assert.Equal(SealingError.LimitExceeded, Samples.ErrorOf(() => Samples.Seal()));

    [Fact]
    public async Task A_source_that_changes_while_it_is_sealed_is_refused()
    {
        using var destination = new MemoryStream();
        foreach (var second in new[] { 2, 4 })
        {
            var opened = 0;
            var source = new AssetSource("a", _ => Task.FromResult<Stream>(new MemoryStream(new byte[opened++ == 0 ? 3 : second])));

            var exception = await Assert.ThrowsAsync<SealingException>(() =>
                AssetSealer.SealAsync(Samples.Key, Samples.AssetId, [source], destination, TestContext.Current.CancellationToken));

            Assert.Equal(SealingError.SourceChanged, exception.Error);
        }
    }

    [Fact]
    public async Task Streams_that_give_a_byte_at_a_time_and_cannot_seek_work()
    {
        var content = Samples.Bytes(Chunk + 100);
        using var container = new MemoryStream();
        var source = new AssetSource("a", _ => Task.FromResult<Stream>(new DripStream(content)));
        await AssetSealer.SealAsync(Samples.Key, Samples.AssetId, [source], new WriteOnlyStream(container), TestContext.Current.CancellationToken);

        using var opened = new MemoryStream();
        await AssetOpener.OpenAsync(
            Samples.Key, Samples.AssetId, new DripStream(container.ToArray()),
            (_, _) => Task.FromResult<Stream>(new WriteOnlyStream(opened)), AssetLimits.Default, TestContext.Current.CancellationToken);

        Assert.Equal(content, opened.ToArray());
    }

    private static bool TryCheck(IEnumerable<string> paths)
    {
        try
        {
            AssetPath.CheckSet(paths);
            return true;
        }
        catch (SealingException)
        {
            return false;
        }
    }
}
