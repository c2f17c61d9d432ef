using Microsoft.Extensions.Logging.Abstractions;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Tests.Running;

/// <summary>One private dockerd for the class: starting it is part of what is tested.</summary>
public sealed class PrivateEngine(TestModules modules) : IAsyncLifetime
{
    private readonly string _state = Directory.CreateTempSubdirectory("rendertrust-engine-").FullName;
    private DockerEngine? _engine;

    public TestModules Modules { get; } = modules;

    public string? WhyNot { get; private set; }

    public async ValueTask InitializeAsync()
    {
        WhyNot = !Native.IsRoot ? "a private dockerd needs root" : Tools.Find("dockerd") is null ? "dockerd is not installed (apt-get install docker.io)" : null;
        WhyNot ??= await Modules.MakeAsync(CancellationToken.None);
        if (WhyNot is null)
        {
            _engine = await DockerEngine.StartPrivateAsync("contract", _state, TimeProvider.System, CancellationToken.None);
        }
    }

    internal Task<DockerEngine> TakeOverAsync() => DockerEngine.StartPrivateAsync("contract", _state, TimeProvider.System, CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        if (_engine is not null)
        {
            await _engine.DisposeAsync();
        }

        Directory.Delete(_state, recursive: true);
    }
}

public sealed class DockerRunnerTests(PrivateEngine engine) : SandboxContract(engine.Modules), IClassFixture<PrivateEngine>
{
    private protected override async Task<IUnitRunner> CreateRunnerAsync()
    {
        Assert.SkipWhen(engine.WhyNot is not null, engine.WhyNot ?? "");

        // Taken over, as after a kill of the agent; the class's fixture is the one that stops it.
        return new Undisposed(new DockerRunner(await engine.TakeOverAsync(), new Images.ImageSources([], development: true), Node, StateFolder, TimeProvider.System, NullLogger<DockerRunner>.Instance));
    }

    private sealed class Undisposed(IUnitRunner inner) : IUnitRunner
    {
        public RunnerCapabilities Capabilities => inner.Capabilities;

        public Task PrepareAsync(Images.ModuleImage image, CancellationToken cancellationToken) => inner.PrepareAsync(image, cancellationToken);

        public Task<UnitRunResult> RunAsync(UnitRun run, CancellationToken cancellationToken) => inner.RunAsync(run, cancellationToken);

        public Task<int> RemoveOrphansAsync(CancellationToken cancellationToken) => inner.RemoveOrphansAsync(cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
