namespace RenderTrust.Cli.Bench;

/// <summary>Sorted times in milliseconds.</summary>
internal sealed class Latencies
{
    private const int Parts = 4;

    private readonly double[] _sorted;

    private Latencies(IEnumerable<double> milliseconds) => _sorted = [.. milliseconds.Order()];

    public double P50 => At(0.5);

    public double P99 => At(0.99);

    /// <summary>The open model: calls begin at a fixed rate, however long the earlier ones take.</summary>
    public static async Task<Latencies> AtRateAsync(int callsPerSecond, TimeSpan during, Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        var time = TimeProvider.System;
        var started = time.GetTimestamp();
        var calls = new List<Task<double>>();
        while (time.GetElapsedTime(started) is var elapsed && elapsed < during)
        {
            // As many as are due by now: timers of a few milliseconds are coarse, the rate is not.
            for (var due = (int)(elapsed.TotalSeconds * callsPerSecond) + 1; calls.Count < due;)
            {
                calls.Add(MeasureAsync(time, call, cancellationToken));
            }

            await Task.Delay(TimeSpan.FromMilliseconds(1), time, cancellationToken);
        }

        return new Latencies(await Task.WhenAll(calls));
    }

    /// <summary>Both, a part of each in turn: what else the machine does in the meantime hits both.</summary>
    public static async Task<(Latencies Value, Latencies Peer)> InTurnAsync(Func<Task<Latencies>> value, Func<Task<Latencies>> peer)
    {
        // The first part of each warms up and counts nowhere.
        await peer();
        await value();
        var (values, peers) = (new List<Latencies>(), new List<Latencies>());
        for (var part = 0; part < Parts; part++)
        {
            peers.Add(await peer());
            values.Add(await value());
        }

        return (new Latencies(values.SelectMany(one => one._sorted)), new Latencies(peers.SelectMany(one => one._sorted)));
    }

    /// <summary>One after the other.</summary>
    public static async Task<Latencies> InARowAsync(int count, Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        var times = new List<double>(count);
        for (var index = 0; index < count; index++)
        {
            times.Add(await MeasureAsync(TimeProvider.System, call, cancellationToken));
        }

        return new Latencies(times);
    }

    private double At(double share) => _sorted[Math.Max(0, (int)Math.Ceiling(share * _sorted.Length) - 1)];

    private static async Task<double> MeasureAsync(TimeProvider time, Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await call(cancellationToken);
        return time.GetElapsedTime(started).TotalMilliseconds;
    }
}
