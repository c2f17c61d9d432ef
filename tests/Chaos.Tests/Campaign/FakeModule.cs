using RenderTrust.Client;
using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>A module whose image nobody has: the simulate runner takes its parameters and needs no more.</summary>
internal static class FakeModule
{
    public static Task<ModuleVersion> PublishAsync(RenderTrustClient developer, CancellationToken cancellationToken) => developer.Modules.PublishAsync(
        new PublishModuleRequest(
            "chaos", "1.0.0", "Chaos", "Pretends to work for as long as its parameters say.", RatePerMinuteMicrocredits: 120_000,
            new ModuleRuntime("127.0.0.1:1/nobody/chaos", $"sha256:{new string('0', 64)}", DeviceKind.Cpu, MemoryMebibytes: 16, ScratchMebibytes: 4, OutputMebibytes: 4, MaxProcesses: 4, CpuCount: 0.1),
            null, null, null),
        cancellationToken);
}
