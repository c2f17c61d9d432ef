using System.Buffers;
using System.Globalization;
using System.Xml;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Durations as Dapr writes them: Go ("1h2m", "0h0m5s0ms"), ISO 8601 ("PT5S"), and in component metadata plain milliseconds.</summary>
internal static class DaprDuration
{
    /// <summary>A hundred years. Longer spans are taken for mistakes: added to a moment they would leave the calendar.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(36_500);

    /// <summary>Of what is waited for by one timer, which takes 49 days.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromDays(45);

    private static readonly SearchValues<char> Number = SearchValues.Create("0123456789.");

    public static bool TryParseGo(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        if (text.IsEmpty)
        {
            return false;
        }

        var negative = text[0] == '-';
        if (text[0] is '-' or '+')
        {
            text = text[1..];
        }

        if (text is "0")
        {
            return true;
        }

        var ticks = 0d;
        while (!text.IsEmpty)
        {
            var digits = text.IndexOfAnyExcept(Number);
            if (digits <= 0 || !double.TryParse(text[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value))
            {
                return false;
            }

            text = text[digits..];
            var end = text.IndexOfAny(Number);
            var unit = end < 0 ? text : text[..end];
            text = end < 0 ? [] : text[end..];
            double scale = unit switch
            {
                "h" => TimeSpan.TicksPerHour,
                "m" => TimeSpan.TicksPerMinute,
                "s" => TimeSpan.TicksPerSecond,
                "ms" => TimeSpan.TicksPerMillisecond,
                "us" or "µs" or "μs" => TimeSpan.TicksPerMicrosecond,
                "ns" => TimeSpan.TicksPerMicrosecond / 1000d,
                _ => -1,
            };
            if (scale < 0)
            {
                return false;
            }

            ticks += value * scale;
        }

        if (!(ticks < TimeSpan.MaxValue.Ticks))
        {
            return false;
        }

        duration = TimeSpan.FromTicks((long)ticks);
        duration = negative ? -duration : duration;
        return true;
    }

    /// <summary>Component metadata also takes a bare number; its unit depends on the field.</summary>
    public static bool TryParseSetting(string text, TimeSpan bareUnit, out TimeSpan duration)
    {
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
        {
            duration = TimeSpan.Zero;
            if (Math.Abs((double)number) * bareUnit.Ticks >= TimeSpan.MaxValue.Ticks)
            {
                return false;
            }

            duration = TimeSpan.FromTicks(bareUnit.Ticks * number);
            return true;
        }

        return TryParseGo(text, out duration);
    }

    public static bool TryParseIso(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        if (!text.StartsWith('P'))
        {
            return false;
        }

        // Weeks are not part of XML's duration, but are of ISO 8601's.
        if (text.EndsWith('W') && int.TryParse(text.AsSpan(1, text.Length - 2), NumberStyles.None, CultureInfo.InvariantCulture, out var weeks))
        {
            if (weeks > Longest.TotalDays / 7)
            {
                return false;
            }

            duration = TimeSpan.FromDays(7 * weeks);
            return true;
        }

        try
        {
            duration = XmlConvert.ToTimeSpan(text);
            return true;
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            return false;
        }
    }
}
