using RenderTrust.Agent.Images;
using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Tests.Running;

/// <summary>No isolation to test here, but units must end as they do elsewhere.</summary>
public sealed class ProcessRunnerTests(TestModules modules) : UnitRunnerContract
{
    [Theory]
    [InlineData(true, true, true)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    public async Task A_plain_process_is_taken_in_development_and_when_allowed_only(bool development, bool allowed, bool taken)
    {
        using var images = new ImageStore(Path.Combine(StateFolder, "images"), new ImageSources([], development: true), ImageStore.Client());
        var request = new RunnerRequest("process", Node, "node", StateFolder, null, development, allowed, TimeSpan.Zero);

        if (taken)
        {
            Assert.Equal("process", (await RunnerChoice.ChooseAsync(request, images, TimeProvider.System, Loggers, Token)).Runner.Capabilities.Name);
        }
        else
        {
            var refused = await Assert.ThrowsAsync<Hosting.NodeStartException>(() => RunnerChoice.ChooseAsync(request, images, TimeProvider.System, Loggers, Token));
            Assert.Contains("isolates nothing", refused.Message, StringComparison.Ordinal);
        }
    }

    private protected override ModuleImage Image => modules.Contract;

    // The limit is per process: the module is told no and ends by itself.
    private protected override UnitExit MemoryExit => UnitExit.ModuleFailed;

    private static Microsoft.Extensions.Logging.ILoggerFactory Loggers => Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance;

    private protected override async Task<IUnitRunner> CreateRunnerAsync()
    {
        var whyNot = await modules.MakeAsync(Token) ?? (File.Exists("/usr/bin/jq") ? null : "jq is not installed (apt-get install jq)");
        Assert.SkipWhen(whyNot is not null, whyNot ?? "");
        return new ProcessRunner(new ImageStore(Path.Combine(StateFolder, "images"), new ImageSources([], development: true), ImageStore.Client()), TimeProvider.System);
    }
}
