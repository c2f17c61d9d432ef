using System.IO.Compression;
using System.Text;
using RenderTrust.Cli.Demo;

namespace RenderTrust.Cli.Tests;

public sealed class PlaintextSearchTests
{
    private const string Marker = "RT-MARKER-orrery-7f3a91";

    public static TheoryData<string> Encodings => [.. Leaks().Select(leak => leak.Name)];

    [Theory]
    [MemberData(nameof(Encodings))]
    public void A_marker_is_found_however_it_was_written(string encoding)
    {
        var leak = Leaks().Single(candidate => candidate.Name == encoding).Bytes;

        var hits = PlaintextSearch.Find([new SearchedPlace("dump", leak)], [Marker]);

        Assert.NotEmpty(hits);
    }

    [Fact]
    public void Random_bytes_and_other_text_give_no_hit()
    {
        var noise = new byte[1_000_000];
        new Random(7).NextBytes(noise);
        var text = Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(0, 5_000).Select(line => $"RT-MARKER-other-{line} \\x{line:x32}")));

        var hits = PlaintextSearch.Find([new SearchedPlace("noise", noise), new SearchedPlace("text", text)], [Marker]);

        Assert.Empty(hits);
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Leaks()
    {
        var raw = Encoding.UTF8.GetBytes($"// {Marker} and more of the scene");
        yield return ("raw", Around(raw));
        for (var alignment = 0; alignment < 3; alignment++)
        {
            yield return ($"base64 at alignment {alignment}", Around(Ascii(Convert.ToBase64String([.. new byte[alignment], .. raw]))));
        }

        yield return ("hex", Around(Ascii(Convert.ToHexStringLower(raw))));
        yield return ("hex in capitals", Around(Ascii(Convert.ToHexString(raw))));
        yield return ("gzip", Around(Compress(raw, stream => new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true))));
        yield return ("zlib", Around(Compress(raw, stream => new ZLibStream(stream, CompressionLevel.SmallestSize, leaveOpen: true))));
        yield return ("gzip as a hex column of a dump", Around(Ascii("\\x" + Convert.ToHexStringLower(Compress(raw, stream => new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true))))));
        yield return ("gzip in base64", Around(Ascii("\"" + Convert.ToBase64String(Compress(raw, stream => new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true))) + "\"")));
        yield return ("utf-16", Around(Encoding.Unicode.GetBytes(Marker)));
    }

    private static byte[] Around(byte[] leak) => [.. "before \t"u8, .. leak, .. "\t after"u8];

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    private static byte[] Compress(byte[] bytes, Func<Stream, Stream> wrap)
    {
        var target = new MemoryStream();
        using (var stream = wrap(target))
        {
            stream.Write(bytes);
        }

        return target.ToArray();
    }
}
