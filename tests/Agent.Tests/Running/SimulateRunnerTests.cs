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

    [Theory]
    [InlineData("fail@node-", UnitExit.ModuleFailed)]
    [InlineData("fail@overflow-", UnitExit.Succeeded)]
    [InlineData("fail@node-@outOfMemory", UnitExit.ModuleFailed)]
    [InlineData("fail@overflow-@outOfMemory", UnitExit.OutOfMemory)]
    internal async Task A_behaviour_can_be_that_of_some_nodes_only(string behaviour, UnitExit expected)
    {
        using var unit = MakeUnit(behaviour);

        Assert.Equal(expected, (await Runner.RunAsync(unit.Run, Token)).Exit);
    }

    private protected override object Parameters(string behaviour)
    {
        var parts = behaviour.Split('@');
        return new { simulate = new { behaviour = Behaviours.GetValueOrDefault(parts[0], parts[0]), onNodes = parts.ElementAtOrDefault(1) ?? "", elsewhere = parts.ElementAtOrDefault(2) ?? "succeed" } };
    }

    private protected override Task<IUnitRunner> CreateRunnerAsync() =>
        Task.FromResult<IUnitRunner>(new SimulateRunner(TimeProvider.System, TimeSpan.FromMilliseconds(5), "node-1"));
}
