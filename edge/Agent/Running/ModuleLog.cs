using System.Globalization;
using System.Text;

namespace RenderTrust.Agent.Running;

/// <summary>
/// What a module printed, kept in memory only and bounded: it may quote the scene, so it never reaches the agent's log
/// or a disk. Lines <c>progress 0.42</c> are taken out and reported.
/// </summary>
internal sealed class ModuleLog(IProgress<double>? progress)
{
    private const int KeptBytesMax = 256 * 1024;
    private const int LineBytesMax = 4 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<string> _lines = new();
    private readonly StringBuilder _partial = new();
    private readonly Decoder _decoder = new UTF8Encoding(false, throwOnInvalidBytes: false).GetDecoder();
    private int _keptBytes;
    private bool _dropped;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            Span<char> characters = stackalloc char[1024];
            while (!bytes.IsEmpty)
            {
                _decoder.Convert(bytes, characters, flush: false, out var used, out var written, out _);
                bytes = bytes[used..];
                foreach (var character in characters[..written])
                {
                    // A module that never ends its line must not grow the buffer without bound.
                    if (character is '\n' or '\r' || _partial.Length >= LineBytesMax)
                    {
                        EndLine();
                    }

                    if (character is not ('\n' or '\r'))
                    {
                        _partial.Append(character);
                    }
                }
            }
        }
    }

    /// <summary>The last lines, as one text file.</summary>
    public string ToText()
    {
        lock (_lock)
        {
            EndLine();
            return (_dropped ? "[earlier lines left out]\n" : "") + string.Concat(_lines.Select(line => line + "\n"));
        }
    }

    private void EndLine()
    {
        if (_partial.Length == 0)
        {
            return;
        }

        var line = _partial.ToString();
        _partial.Clear();
        if (line.StartsWith("progress ", StringComparison.Ordinal)
            && double.TryParse(line.AsSpan(9), NumberStyles.Float, CultureInfo.InvariantCulture, out var fraction)
            && fraction is >= 0 and <= 1)
        {
            progress?.Report(fraction);
            return;
        }

        _lines.Enqueue(line);
        _keptBytes += line.Length;
        while (_keptBytes > KeptBytesMax)
        {
            _keptBytes -= _lines.Dequeue().Length;
            _dropped = true;
        }
    }
}
