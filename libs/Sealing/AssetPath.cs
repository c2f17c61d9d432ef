using System.Text;

namespace RenderTrust.Sealing;

/// <summary>Which paths an asset may hold. One rule for sealing and opening: what one side writes, the other accepts.</summary>
public static class AssetPath
{
    public const int MaxSegmentBytes = 255;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Says what is wrong with a path, or null if it is safe.</summary>
    public static string? Problem(string path, int maxBytes = AssetFormat.MaxPathBytes)
    {
        if (path.Length == 0)
        {
            return "is empty";
        }

        if (TryEncode(path) is not { } bytes)
        {
            return "is not valid Unicode (a surrogate has no partner)";
        }

        if (bytes.Length > maxBytes)
        {
            return $"has {bytes.Length} UTF-8 bytes (limit {maxBytes})";
        }

        foreach (var character in path)
        {
            // A colon names a drive or a stream on Windows, a backslash is a separator there and a letter here.
            if (character is < ' ' or '\u007f' or '\\' or ':')
            {
                return $"contains the character U+{(int)character:X4}";
            }
        }

        foreach (var segment in path.Split('/'))
        {
            if (segment.Length == 0)
            {
                return "is absolute, or has an empty part";
            }

            // Windows drops trailing dots and spaces, so "a." would be "a" there; the rule also covers "." and "..".
            if (segment[^1] is '.' or ' ')
            {
                return $"has the part '{segment}', which ends in a dot or a space";
            }

            if (Encoding.UTF8.GetByteCount(segment) > MaxSegmentBytes)
            {
                return $"has a part of over {MaxSegmentBytes} UTF-8 bytes";
            }
        }

        return null;
    }

    internal static byte[] Check(string path, int maxBytes)
    {
        if (Problem(path, maxBytes) is { } problem)
        {
            throw new SealingException(
                SealingError.UnsafePath,
                $"The path '{Printable(path)}' {problem}. Use a relative path with forward slashes, without '..' and control characters.");
        }

        return Encoding.UTF8.GetBytes(path);
    }

    internal static string Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException exception)
        {
            throw new SealingException(SealingError.UnsafePath, "A path in the asset's index is not valid UTF-8.", exception);
        }
    }

    /// <summary>Refuses sets in which two paths could name the same place on some file system.</summary>
    internal static void CheckSet(IEnumerable<string> paths)
    {
        var files = new HashSet<string>(StringComparer.Ordinal);
        var folders = new HashSet<string>(StringComparer.Ordinal);
        foreach (var path in paths)
        {
            var folded = AsciiFold(path);
            for (var slash = folded.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = folded.IndexOf('/', slash + 1))
            {
                folders.Add(folded[..slash]);
            }

            if (!files.Add(folded))
            {
                throw new SealingException(
                    SealingError.DuplicatePath, $"The path '{path}' is there twice (upper and lower case ASCII letters count as the same).");
            }
        }

        if (files.FirstOrDefault(folders.Contains) is { } both)
        {
            throw new SealingException(SealingError.DuplicatePath, $"The path '{both}' is both a file and a folder.");
        }
    }

    private static string AsciiFold(string path) =>
        string.Create(path.Length, path, static (target, source) =>
        {
            for (var i = 0; i < source.Length; i++)
            {
                target[i] = source[i] is >= 'A' and <= 'Z' ? (char)(source[i] | 0x20) : source[i];
            }
        });

    private static byte[]? TryEncode(string path)
    {
        try
        {
            return StrictUtf8.GetBytes(path);
        }
        catch (EncoderFallbackException)
        {
            return null;
        }
    }

    private static string Printable(string path)
    {
        var shown = path.Length > 120 ? string.Concat(path.AsSpan(0, 120), "...") : path;
        return string.Concat(shown.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
    }
}
