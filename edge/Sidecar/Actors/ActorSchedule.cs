using System.Globalization;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Actors;

/// <summary>When a timer or reminder fires: first, then how often, until when.</summary>
/// <param name="Repeats">How often in all; null for without end.</param>
internal sealed record ActorSchedule(DateTimeOffset FirstAt, TimeSpan? Period, int? Repeats, DateTimeOffset? ExpiresAt)
{
    public static ActorSchedule Read(string? dueTime, string? period, string? ttl, DateTimeOffset now, bool isReminder)
    {
        if (isReminder && string.IsNullOrEmpty(dueTime) && string.IsNullOrEmpty(period))
        {
            throw DaprError.Malformed("dueTime or period is required");
        }

        if (isReminder && string.IsNullOrEmpty(period) && !string.IsNullOrEmpty(ttl))
        {
            throw DaprError.Malformed($"ttl '{ttl}' needs a period: a reminder that fires once has nothing to expire");
        }

        // Without a due time a timer fires at once, and a reminder after its first period: daprd keeps them in different places.
        var (every, repeats) = ReadPeriod(period, isReminder);
        var first = !string.IsNullOrEmpty(dueTime) ? ReadMoment("dueTime", dueTime, now) : isReminder ? now + every!.Value : now;
        if (string.IsNullOrEmpty(ttl))
        {
            return new ActorSchedule(first, every, repeats, null);
        }

        var expires = ReadMoment("ttl", ttl, first);
        return expires > now && expires > first ? new ActorSchedule(first, every, repeats, expires) : throw DaprError.Malformed($"ttl '{ttl}' has already expired when it would first fire");
    }

    /// <summary>The tick after one at the given moment; what was slept through is left out. Null when it was the last.</summary>
    public static DateTimeOffset? Next(DateTimeOffset firedFor, TimeSpan? period, int? repeatsLeft, DateTimeOffset? expiresAt, DateTimeOffset now)
    {
        if (period is not { } every || repeatsLeft <= 0)
        {
            return null;
        }

        var next = firedFor + every;
        if (next < now && every > TimeSpan.Zero)
        {
            next += every * Math.Ceiling((now - next) / every);
        }

        return expiresAt <= next ? null : next;
    }

    private static (TimeSpan? Every, int? Repeats) ReadPeriod(string? period, bool isReminder)
    {
        if (string.IsNullOrEmpty(period))
        {
            return (null, null);
        }

        int? repeats = null;
        var rest = period;
        if (period.StartsWith('R'))
        {
            var slash = period.IndexOf('/', StringComparison.Ordinal);
            var count = slash < 0 ? period[1..] : period[1..slash];
            rest = slash < 0 ? "" : period[(slash + 1)..];
            if (count.Length > 0)
            {
                if (!int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || (number == 0 && !isReminder))
                {
                    throw DaprError.Malformed($"period '{period}' has no usable number of repetitions");
                }

                // Reminders read R0 as "no limit".
                repeats = number == 0 ? null : number;
            }
        }

        var datePart = rest.IndexOf('T', StringComparison.Ordinal) is var t and >= 0 ? rest[..t] : rest;
        if (isReminder && rest.StartsWith('P') && datePart.AsSpan().IndexOfAny("YMWD") >= 0)
        {
            throw DaprError.Malformed($"period '{period}' has years, months or days: reminders take hours, minutes and seconds");
        }

        if ((DaprDuration.TryParseGo(rest, out var every) || DaprDuration.TryParseIso(rest, out every)) && every >= TimeSpan.Zero && every <= DaprDuration.Longest)
        {
            return (every, repeats);
        }

        throw DaprError.Malformed($"period '{period}' is not a duration of at most a hundred years: write for example 0h0m5s0ms or R3/PT5S");
    }

    private static DateTimeOffset ReadMoment(string name, string text, DateTimeOffset from)
    {
        if (DaprDuration.TryParseGo(text, out var delay) || DaprDuration.TryParseIso(text, out delay))
        {
            return delay <= DaprDuration.Longest && delay >= -DaprDuration.Longest && delay < DateTimeOffset.MaxValue - from && -delay < from - DateTimeOffset.MinValue
                ? from + delay
                : throw DaprError.Malformed($"{name} '{text}' is further away than a hundred years");
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment)
            ? moment
            : throw DaprError.Malformed($"{name} '{text}' is neither a duration nor a moment: write for example 0h0m5s0ms, PT5S or 2030-01-01T00:00:00Z");
    }
}
