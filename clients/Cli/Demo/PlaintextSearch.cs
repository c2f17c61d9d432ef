using System.Buffers;
using System.Buffers.Text;
using System.IO.Compression;
using System.Text;

namespace RenderTrust.Cli.Demo;

/// <summary>One place where plaintext must not be: a name for the report and its bytes.</summary>
internal sealed record SearchedPlace(string Name, ReadOnlyMemory<byte> Bytes);

/// <param name="Form">How the marker was written there: raw, base64 (three alignments), hex, or one of these inside something compressed or encoded.</param>
internal sealed record PlaintextHit(string Place, string Marker, string Form);

/// <summary>
/// Looks for markers that were planted in a scene and its parameters, in every form in which a leak would hide:
/// as they are, in base64 at any of its three alignments, in hex, and inside zlib, gzip or encoded runs.
/// </summary>
internal static class PlaintextSearch
{
    private const int LongestInflatedBytes = 64 * 1024 * 1024;
    private const int ShortestEncodedRun = 24;
    private static readonly SearchValues<byte> HexDigits = SearchValues.Create("0123456789abcdefABCDEF"u8);

    public static IReadOnlyList<PlaintextHit> Find(IEnumerable<SearchedPlace> places, IReadOnlyList<string> markers)
    {
        var needles = markers.SelectMany(Forms).ToList();
        var hits = new List<PlaintextHit>();
        foreach (var place in places)
        {
            Scan(place.Name, "", place.Bytes.Span, needles, hits, depth: 0);
        }

        return hits.Distinct().ToList();
    }

    /// <summary>A marker in every direct form, with the bytes that do not depend on its neighbours.</summary>
    internal static IEnumerable<(string Marker, string Form, byte[] Bytes)> Forms(string marker)
    {
        var raw = Encoding.UTF8.GetBytes(marker);
        yield return (marker, "raw", raw);
        yield return (marker, "utf-16", Encoding.Unicode.GetBytes(marker));
        yield return (marker, "hex", Encoding.ASCII.GetBytes(Convert.ToHexStringLower(raw)));
        yield return (marker, "hex", Encoding.ASCII.GetBytes(Convert.ToHexString(raw)));
        for (var alignment = 0; alignment < 3; alignment++)
        {
            var shifted = new byte[alignment + raw.Length];
            raw.CopyTo(shifted, alignment);
            var text = Convert.ToBase64String(shifted).TrimEnd('=');
            // The first and last characters also depend on the bytes before and after the marker.
            var from = alignment == 0 ? 0 : alignment + 1;
            var wholeCharacters = shifted.Length * 8 / 6;
            var stable = text[from..wholeCharacters];
            yield return (marker, $"base64+{alignment}", Encoding.ASCII.GetBytes(stable));
            var url = stable.Replace('+', '-').Replace('/', '_');
            if (url != stable)
            {
                yield return (marker, $"base64url+{alignment}", Encoding.ASCII.GetBytes(url));
            }
        }
    }

    private static void Scan(string place, string path, ReadOnlySpan<byte> bytes, List<(string Marker, string Form, byte[] Bytes)> needles, List<PlaintextHit> hits, int depth)
    {
        foreach (var (marker, form, needle) in needles)
        {
            if (bytes.IndexOf(needle) >= 0)
            {
                hits.Add(new PlaintextHit(place, marker, path + form));
            }
        }

        if (depth == 2)
        {
            return;
        }

        Inflate(place, path, bytes, needles, hits, depth);
        // Columns of bytes stand as hex in a dump, documents as base64: what is compressed inside is only seen after decoding.
        DecodeRuns(place, path, bytes, needles, hits, depth);
    }

    private static void Inflate(string place, string path, ReadOnlySpan<byte> bytes, List<(string Marker, string Form, byte[] Bytes)> needles, List<PlaintextHit> hits, int depth)
    {
        for (var at = 0; at + 6 < bytes.Length; at++)
        {
            var gzip = bytes[at] == 0x1f && bytes[at + 1] == 0x8b && bytes[at + 2] == 8;
            var zlib = bytes[at] == 0x78 && bytes[at + 1] is 0x01 or 0x5e or 0x9c or 0xda && ((bytes[at] << 8) + bytes[at + 1]) % 31 == 0;
            if (!gzip && !zlib)
            {
                continue;
            }

            var inflated = TryInflate(bytes[at..].ToArray(), gzip);
            if (inflated.Length > 16)
            {
                Scan(place, path + (gzip ? "gzip/" : "zlib/"), inflated, needles, hits, depth + 1);
            }
        }
    }

    private static byte[] TryInflate(byte[] bytes, bool gzip)
    {
        var output = new MemoryStream();
        try
        {
            using var source = new MemoryStream(bytes);
            using Stream stream = gzip ? new GZipStream(source, CompressionMode.Decompress) : new ZLibStream(source, CompressionMode.Decompress);
            var buffer = new byte[81_920];
            int count;
            while (output.Length < LongestInflatedBytes && (count = stream.Read(buffer)) > 0)
            {
                output.Write(buffer, 0, count);
            }
        }
        catch (InvalidDataException)
        {
            // Not a compressed stream, or cut off: what came out before is searched all the same.
        }

        return output.ToArray();
    }

    private static void DecodeRuns(string place, string path, ReadOnlySpan<byte> bytes, List<(string Marker, string Form, byte[] Bytes)> needles, List<PlaintextHit> hits, int depth)
    {
        var start = 0;
        for (var at = 0; at <= bytes.Length; at++)
        {
            if (at < bytes.Length && IsBase64(bytes[at]))
            {
                continue;
            }

            if (at - start >= ShortestEncodedRun)
            {
                Decode(place, path, bytes[start..at], needles, hits, depth);
            }

            start = at + 1;
        }
    }

    private static void Decode(string place, string path, ReadOnlySpan<byte> run, List<(string Marker, string Form, byte[] Bytes)> needles, List<PlaintextHit> hits, int depth)
    {
        // A dump writes bytes as \x…; the x is no hex digit and the backslash has ended the run before it.
        var hex = run[0] == (byte)'x' ? run[1..] : run;
        if (hex.Length % 2 == 0 && hex.IndexOfAnyExcept(HexDigits) < 0)
        {
            Scan(place, path + "hex/", Convert.FromHexString(Encoding.ASCII.GetString(hex)), needles, hits, depth + 1);
            return;
        }

        var text = Encoding.ASCII.GetString(run).Replace('-', '+').Replace('_', '/');
        text = text[..(text.Length / 4 * 4)];
        if (Base64.IsValid(text))
        {
            Scan(place, path + "base64/", Convert.FromBase64String(text), needles, hits, depth + 1);
        }
    }

    private static bool IsBase64(byte value) =>
        value is >= (byte)'a' and <= (byte)'z' or >= (byte)'A' and <= (byte)'Z' or >= (byte)'0' and <= (byte)'9' or (byte)'+' or (byte)'/' or (byte)'-' or (byte)'_';
}
