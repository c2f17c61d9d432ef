using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Daprd;

namespace RenderTrust.Cli.Platform;

/// <summary>Which sidecar the services run behind.</summary>
internal static class SidecarChoice
{
    public const string Embedded = "embedded";

    public static string Decide(string asked) => asked switch
    {
        "auto" or Embedded => Embedded,
        DaprdPlan.Kind => DaprdPlan.Kind,
        _ => throw new CliException($"--sidecar is '{asked}'. Use 'embedded' (as 'auto' does), or 'daprd' for Dapr's own programs from the PATH.", exitCode: 2),
    };

    /// <summary>Services that run keep their sidecars: two of them on the same ports would be neither.</summary>
    public static void RefuseSwap(string kind, string? earlier, IReadOnlyList<ManagedProcess> running)
    {
        if (earlier is not null && earlier != kind && running.Count > 0)
        {
            throw new CliException($"A platform on the {earlier} sidecar is running. Take it down with ./rendertrust down before you start one on {kind}.", exitCode: 2);
        }
    }
}
