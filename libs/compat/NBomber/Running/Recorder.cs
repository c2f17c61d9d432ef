using HdrHistogram;
using NBomber.Contracts;
using NBomber.Contracts.Stats;

namespace NBomber.Running;

/// <summary>
/// Counts outcomes of one kind. Not thread-safe: its owner holds a lock. Latencies are kept in microseconds to three significant digits; least and most
/// are exact. A latency of zero counts as a request and nothing else.
/// </summary>
internal sealed class Recorder
{
    private const long LongestMicroseconds = 3_600_000_000;
    private const long MostBytes = 1L << 40;

    private readonly LongHistogram _latencies = new(1, LongestMicroseconds, 3);
    private readonly LongHistogram _sizes = new(1, MostBytes, 3);
    private readonly Dictionary<(string Code, bool IsError), (string Message, int Count)> _codes = [];
    private long _least = long.MaxValue;
    private long _most;
    private long _leastBytes = long.MaxValue;
    private long _mostBytes;
    private long _allBytes;
    private int _under800;
    private int _between;
    private int _over1200;

    public int Count { get; private set; }

    public long AllBytes => _allBytes;

    public IReadOnlyDictionary<(string Code, bool IsError), (string Message, int Count)> Codes => _codes;

    public void Add(IResponse response, TimeSpan measured)
    {
        Count++;
        AddCode(response);
        var microseconds = response.CustomLatencyMs > 0 ? (long)(response.CustomLatencyMs * 1000) : (long)measured.TotalMicroseconds;
        if (microseconds <= 0)
        {
            return;
        }

        _latencies.RecordValue(Math.Min(microseconds, LongestMicroseconds));
        (_least, _most) = (Math.Min(_least, microseconds), Math.Max(_most, microseconds));
        if (microseconds <= 800_000)
        {
            _under800++;
        }
        else if (microseconds < 1_200_000)
        {
            _between++;
        }
        else
        {
            _over1200++;
        }

        _sizes.RecordValue(Math.Clamp(response.SizeBytes, 0, MostBytes));
        (_leastBytes, _mostBytes) = (Math.Min(_leastBytes, response.SizeBytes), Math.Max(_mostBytes, response.SizeBytes));
        _allBytes += response.SizeBytes;
    }

    public void AddCode(IResponse response)
    {
        if (response.StatusCode.Length > 0)
        {
            var key = (response.StatusCode, response.IsError);
            _codes[key] = _codes.TryGetValue(key, out var known) ? (known.Message, known.Count + 1) : (response.Message, 1);
        }
    }

    /// <param name="executed">Time that load ran; rates are over at least a second.</param>
    /// <param name="all">Outcomes of every kind, for percents.</param>
    public MeasurementStats Build(TimeSpan executed, int all) => new()
    {
        Request = new RequestStats
        {
            Count = Count,
            RPS = Math.Round(Count / Math.Max(1, executed.TotalSeconds), 1),
            Percent = Percent(Count, all),
        },
        Latency = _latencies.TotalCount == 0 ? new LatencyStats() : new LatencyStats
        {
            MinMs = Milliseconds(_least),
            MeanMs = Milliseconds(_latencies.GetMean()),
            MaxMs = Milliseconds(_most),
            Percent50 = Milliseconds(_latencies.GetValueAtPercentile(50)),
            Percent75 = Milliseconds(_latencies.GetValueAtPercentile(75)),
            Percent95 = Milliseconds(_latencies.GetValueAtPercentile(95)),
            Percent99 = Milliseconds(_latencies.GetValueAtPercentile(99)),
            StdDev = Milliseconds(_latencies.GetStdDeviation()),
            LatencyCount = new LatencyCount { LessOrEq800 = _under800, More800Less1200 = _between, MoreOrEq1200 = _over1200 },
        },
        DataTransfer = _sizes.TotalCount == 0 ? new DataTransferStats() : new DataTransferStats
        {
            MinBytes = _leastBytes,
            MeanBytes = (long)_sizes.GetMean(),
            MaxBytes = _mostBytes,
            Percent50 = _sizes.GetValueAtPercentile(50),
            Percent75 = _sizes.GetValueAtPercentile(75),
            Percent95 = _sizes.GetValueAtPercentile(95),
            Percent99 = _sizes.GetValueAtPercentile(99),
            StdDev = Math.Round(_sizes.GetStdDeviation(), 2),
            AllBytes = _allBytes,
        },
        StatusCodes = CodeStats(_codes),
    };

    public static StatusCodeStats[] CodeStats(IReadOnlyDictionary<(string Code, bool IsError), (string Message, int Count)> codes)
    {
        var all = codes.Values.Sum(code => code.Count);
        return
        [
            .. codes.OrderByDescending(pair => pair.Value.Count).ThenBy(pair => pair.Key.Code, StringComparer.Ordinal).Select(pair => new StatusCodeStats
            {
                StatusCode = pair.Key.Code,
                IsError = pair.Key.IsError,
                Message = pair.Value.Message,
                Count = pair.Value.Count,
                Percent = Percent(pair.Value.Count, all),
            }),
        ];
    }

    private static int Percent(int part, int all) => all == 0 ? 0 : (int)Math.Round(100.0 * part / all);

    private static double Milliseconds(double microseconds) => Math.Round(microseconds / 1000, 2);
}
