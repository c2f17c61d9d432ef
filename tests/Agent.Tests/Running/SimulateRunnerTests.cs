using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Tests.Running;

public sealed class SimulateRunnerTests : UnitRunnerContract
{
    private static readonly Dictionary<string, string> Behaviours = new() { ["eat"] = "outOfMemory", ["fill"] = "outputTooLarge" };

    [Fact]
    public async Task The_same_unit_gives_the_same_output()
    {
        using var first = MakeUnit("succeed");
        using var second = MakeUnit("succeed");

        await Runner.RunAsync(first.Run, Token);
        await Runner.RunAsync(second.Run, Token);

        Assert.Equal(
            await File.ReadAllTextAsync(Directory.GetFiles(first.Run.Output.Path).Single(), Token),
            await File.ReadAllTextAsync(Directory.GetFiles(second.Run.Output.Path).Single(), Token));
    }

    private protected override object Parameters(string behaviour) => new { simulate = new { behaviour = Behaviours.GetValueOrDefault(behaviour, behaviour) } };

    private protected override Task<IUnitRunner> CreateRunnerAsync() =>
        Task.FromResult<IUnitRunner>(new SimulateRunner(TimeProvider.System, TimeSpan.FromMilliseconds(5)));
}
