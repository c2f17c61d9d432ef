using System.Globalization;

namespace RenderTrust.JobLoad.Measuring;

/// <summary>User and system time of process trees, from /proc. Children that ended meanwhile count through their parents.</summary>
internal sealed class CpuMeter(IReadOnlyList<int> roots)
{
    // Of the kernel's interface, the same on every Linux that .NET runs on.
    private const double MillisecondsPerTick = 10;

    private double _atStart;
    private int _started;

    public bool IsMeasured => roots.Count > 0;

    /// <summary>Safe to repeat: the first call counts.</summary>
    public void Start()
    {
        if (IsMeasured && Interlocked.Exchange(ref _started, 1) == 0)
        {
            _atStart = Read();
        }
    }

    public double MillisecondsSinceStart() => IsMeasured && _started == 1 ? Read() - _atStart : 0;

    private double Read()
    {
        var processes = Directory.EnumerateDirectories("/proc")
            .Select(folder => int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid) ? ReadOne(pid) : null)
            .OfType<(int Pid, int Parent, double Milliseconds)>().ToDictionary(process => process.Pid);
        return processes.Values.Where(process => IsUnderRoot(process.Pid, processes)).Sum(process => process.Milliseconds);
    }

    private bool IsUnderRoot(int pid, Dictionary<int, (int Pid, int Parent, double Milliseconds)> processes)
    {
        // Bounded, since the table was not read in one instant and may hold a circle of reused ids.
        for (var depth = 0; depth < 64; depth++)
        {
            if (roots.Contains(pid))
            {
                return true;
            }

            if (!processes.TryGetValue(pid, out var process))
            {
                return false;
            }

            pid = process.Parent;
        }

        return false;
    }

    /// <summary>Fields 4 and 14 to 17 of /proc/PID/stat: parent, own time, and that of children who have ended.</summary>
    private static (int Pid, int Parent, double Milliseconds)? ReadOne(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            var ticks = fields[11..15].Sum(field => long.Parse(field, CultureInfo.InvariantCulture));
            return (pid, int.Parse(fields[1], CultureInfo.InvariantCulture), ticks * MillisecondsPerTick);
        }
        catch (IOException)
        {
            return null;
        }
    }
}

internal static class LoadAverage
{
    /// <summary>Over a minute.</summary>
    public static double Read() => double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
}
