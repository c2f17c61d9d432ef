using System.Text.Json;
using RenderTrust.Agent.Images;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Tests.Running;

/// <summary>What every runner promises: how a unit ends is told apart, and nothing of it is left.</summary>
public abstract class UnitRunnerContract : IAsyncLifetime
{
    private readonly string _state = Directory.CreateTempSubdirectory("rendertrust-agent-").FullName;
    private IUnitRunner? _runner;

    private protected string Node { get; } = "test-" + Guid.NewGuid().ToString("N")[..8];

    private protected string StateFolder => _state;

    private protected IUnitRunner Runner => _runner!;

    private protected ScratchSpace Scratch { get; private set; } = null!;

    private protected virtual ModuleImage Image => ModuleImage.Parse("127.0.0.1:1/none", "sha256:" + new string('0', 64));

    private protected static UnitLimits Limits => new(256L << 20, 64, 1, 16L << 20, TimeSpan.FromSeconds(60));

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Scratch = ScratchSpace.Open("/dev/shm", Node, 1L << 30);
        _runner = await CreateRunnerAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_runner is not null)
        {
            await _runner.RemoveOrphansAsync(CancellationToken.None);
            await _runner.DisposeAsync();
        }

        if (Scratch is not null)
        {
            ScratchSpace.Wipe(Scratch.Root);
        }

        Directory.Delete(_state, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_unit_reads_its_inputs_and_leaves_its_outputs()
    {
        var progress = new RecordedProgress();
        using var unit = MakeUnit("succeed", progress: progress);

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.True(result.Exit == UnitExit.Succeeded, result.Log.ToText());
        Assert.True(result.DeviceMilliseconds > 0);
        Assert.NotEmpty(Directory.GetFiles(unit.Run.Output.Path));
        Assert.NotEmpty(progress.Values);
        Assert.All(progress.Values, value => Assert.InRange(value, 0, 1));
    }

    [Fact]
    public async Task A_failing_module_is_told_apart_and_its_log_is_kept()
    {
        using var unit = MakeUnit("fail");

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.Equal(UnitExit.ModuleFailed, result.Exit);
        Assert.Equal(3, result.ExitCode);
        Assert.NotEmpty(result.Log.ToText());
        Assert.DoesNotContain("hole", result.Explanation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_unit_is_killed_at_its_wall_limit()
    {
        using var unit = MakeUnit("hang", Limits with { Wall = TimeSpan.FromSeconds(1) });

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.Equal(UnitExit.TimedOut, result.Exit);
        Assert.True(result.DeviceMilliseconds >= 900);
        Assert.Equal(0, await Runner.RemoveOrphansAsync(Token));
    }

    [Fact]
    public async Task A_cancelled_unit_is_dead_when_the_call_returns()
    {
        var progress = new RecordedProgress();
        using var unit = MakeUnit("hang", progress: progress);
        using var cancel = new CancellationTokenSource();

        var running = Runner.RunAsync(unit.Run, cancel.Token);
        await Wait.ForAsync(() => progress.Values.Count > 0, "the module's first progress line");
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(0, await Runner.RemoveOrphansAsync(Token));
    }

    [Fact]
    public async Task Passing_the_memory_limit_is_told_apart()
    {
        using var unit = MakeUnit("eat", Limits with { MemoryBytes = 64L << 20 });

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.Equal(MemoryExit, result.Exit);
    }

    [Fact]
    public async Task Passing_the_output_limit_is_told_apart()
    {
        using var unit = MakeUnit("fill");

        var result = await Runner.RunAsync(unit.Run, Token);

        Assert.Equal(UnitExit.OutputTooLarge, result.Exit);
    }

    private protected abstract Task<IUnitRunner> CreateRunnerAsync();

    /// <summary>How a unit ends that takes more memory than it may.</summary>
    private protected virtual UnitExit MemoryExit => UnitExit.OutOfMemory;

    private protected virtual object Parameters(string behaviour) => new { behaviour };

    private protected TestUnit MakeUnit(string behaviour, UnitLimits? limits = null, IProgress<double>? progress = null, ModuleImage? image = null)
    {
        var id = Guid.NewGuid().ToString("N")[..12];
        limits ??= Limits;
        var input = Scratch.Reserve(id + "-in", 1 << 20);
        var inputFolder = Directory.CreateDirectory(Path.Combine(input.Path, "in")).FullName;
        Directory.CreateDirectory(Path.Combine(inputFolder, "data"));
        File.WriteAllText(Path.Combine(inputFolder, "data", "input.txt"), "an opened asset\n");
        var unitFile = Path.Combine(input.Path, "unit.json");
        File.WriteAllText(unitFile, JsonSerializer.Serialize(new { unitIndex = 2, unitCount = 5, maxSeconds = 60, parameters = Parameters(behaviour), unitParameters = new { } }));
        var output = Scratch.ReserveWritable(id + "-out", limits.OutputBytes);
        return new TestUnit(new UnitRun(id, image ?? Image, inputFolder, unitFile, output, limits, progress), input);
    }

    private protected sealed class TestUnit(UnitRun run, ScratchFolder input) : IDisposable
    {
        public UnitRun Run { get; } = run;

        public void Dispose()
        {
            Run.Output.Dispose();
            input.Dispose();
        }
    }

    private protected sealed class RecordedProgress : IProgress<double>
    {
        private readonly Lock _lock = new();
        private readonly List<double> _values = [];

        public IReadOnlyList<double> Values
        {
            get
            {
                lock (_lock)
                {
                    return [.. _values];
                }
            }
        }

        public void Report(double value)
        {
            lock (_lock)
            {
                _values.Add(value);
            }
        }
    }
}
