using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Bindings;

/// <summary>Five or six cron fields (seconds first), <c>@every 5m</c> or a name such as <c>@hourly</c>. Times are UTC.</summary>
internal sealed class CronSchedule
{
    private readonly TimeSpan? every;
    private readonly bool[][] fields;
    private readonly bool daysAreAlternatives;

    private CronSchedule(TimeSpan? every, bool[][] fields, bool daysAreAlternatives)
    {
        this.every = every;
        this.fields = fields;
        this.daysAreAlternatives = daysAreAlternatives;
    }

    public static bool TryParse(string text, out CronSchedule schedule)
    {
        schedule = null!;
        text = text.Trim();
        if (text.StartsWith("@every ", StringComparison.Ordinal))
        {
            if (!DaprDuration.TryParseGo(text["@every ".Length..].Trim(), out var interval) || interval < TimeSpan.FromSeconds(1) || interval > DaprDuration.Longest)
            {
                return false;
            }

            schedule = new CronSchedule(interval, [], false);
            return true;
        }

        text = text switch
        {
            "@yearly" or "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" or "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            _ => text,
        };
        var parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 5)
        {
            parts = ["0", .. parts];
        }

        if (parts.Length != 6)
        {
            return false;
        }

        ReadOnlySpan<(int Min, int Max)> bounds = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        var fields = new bool[6][];
        for (var i = 0; i < 6; i++)
        {
            if (ParseField(parts[i], bounds[i].Min, bounds[i].Max, i) is not { } field)
            {
                return false;
            }

            fields[i] = field;
        }

        // Sunday is both 0 and 7.
        fields[5][0] |= fields[5][7];
        schedule = new CronSchedule(null, fields, parts[3] is not ("*" or "?") && parts[5] is not ("*" or "?"));
        return schedule.Next(DateTimeOffset.UnixEpoch) is not null;
    }

    /// <summary>The first tick after the moment; null when there is none within four years.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        if (every is { } interval)
        {
            return after + interval;
        }

        var at = new DateTimeOffset(after.UtcDateTime.Ticks - (after.UtcDateTime.Ticks % TimeSpan.TicksPerSecond), TimeSpan.Zero).AddSeconds(1);
        var end = at.AddYears(5);
        while (at < end)
        {
            if (!fields[4][at.Month] || !DayMatches(at))
            {
                at = new DateTimeOffset(at.Year, at.Month, at.Day, 0, 0, 0, TimeSpan.Zero).AddDays(1);
            }
            else if (!fields[2][at.Hour])
            {
                at = new DateTimeOffset(at.Year, at.Month, at.Day, at.Hour, 0, 0, TimeSpan.Zero).AddHours(1);
            }
            else if (!fields[1][at.Minute])
            {
                at = at.AddSeconds(60 - at.Second);
            }
            else if (!fields[0][at.Second])
            {
                at = at.AddSeconds(1);
            }
            else
            {
                return at;
            }
        }

        return null;
    }

    // Cron's old rule: if both day fields are narrowed, either of them is enough.
    private bool DayMatches(DateTimeOffset at)
    {
        var (ofMonth, ofWeek) = (fields[3][at.Day], fields[5][(int)at.DayOfWeek]);
        return daysAreAlternatives ? ofMonth || ofWeek : ofMonth && ofWeek;
    }

    private static bool[]? ParseField(string text, int min, int max, int index)
    {
        var field = new bool[max + 1];
        foreach (var part in text.Split(','))
        {
            var step = part.Split('/');
            if (step.Length > 2 || !TryRange(step[0], min, max, index, step.Length == 2, out var from, out var to))
            {
                return null;
            }

            var stride = 1;
            if (step.Length == 2 && (!int.TryParse(step[1], out stride) || stride < 1))
            {
                return null;
            }

            for (var value = from; value <= to; value += stride)
            {
                field[value] = true;
            }
        }

        return field;
    }

    private static bool TryRange(string text, int min, int max, int index, bool hasStep, out int from, out int to)
    {
        (from, to) = (min, max);
        if (text is "*" or "?")
        {
            return true;
        }

        var ends = text.Split('-');
        if (ends.Length > 2 || !TryNumber(ends[0], index, out from))
        {
            return false;
        }

        to = hasStep ? max : from;
        if (ends.Length == 2 && !TryNumber(ends[1], index, out to))
        {
            return false;
        }

        return from >= min && to <= max && from <= to;
    }

    private static bool TryNumber(string text, int index, out int number)
    {
        ReadOnlySpan<string> names = index switch
        {
            4 => ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
            5 => ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
            _ => [],
        };
        number = names.IndexOf(text.ToUpperInvariant());
        return number >= 0 || int.TryParse(text, out number);
    }
}
