using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Tests.Running;

public sealed class BubblewrapRunnerTests(TestModules modules) : SandboxContract(modules)
{
    // Without control groups the limit is per process: the module is told no and ends by itself.
    private protected override UnitExit MemoryExit => Runner.Capabilities.LimitsEnforced ? UnitExit.OutOfMemory : UnitExit.ModuleFailed;

    private protected override async Task<IUnitRunner> CreateRunnerAsync()
    {
        var whyNot = await BubblewrapRunner.WhyNotAsync(Token) ?? await Modules.MakeAsync(Token);
        Assert.SkipWhen(whyNot is not null, whyNot ?? "");
        return new BubblewrapRunner(Node, StateFolder, Images(), TimeProvider.System);
    }
}
