using System.Globalization;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Status codes and ranges of them: <c>429,500-599</c>.</summary>
internal sealed class CodeSet
{
    private readonly List<(int From, int To)> ranges = [];

    public bool Contains(int code) => ranges.Exists(range => code >= range.From && code <= range.To);

    public static bool TryParse(string text, int least, int most, out CodeSet codes)
    {
        codes = new CodeSet();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var ends = part.Split('-', 2);
            if (!Read(ends[0], out var from) || !Read(ends[^1], out var to) || from > to)
            {
                return false;
            }

            codes.ranges.Add((from, to));
        }

        return codes.ranges.Count > 0;

        bool Read(string number, out int value) =>
            int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= least && value <= most;
    }
}
