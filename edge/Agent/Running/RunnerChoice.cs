using Microsoft.Extensions.Logging;
using RenderTrust.Agent.Images;

namespace RenderTrust.Agent.Running;

/// <summary>What decides which runner is taken; the environment is read by Program only.</summary>
/// <param name="Wanted"><c>auto</c> or a runner's name.</param>
/// <param name="NodeName">For simulated failures, which name the nodes that they happen on.</param>
/// <param name="DockerHost">DOCKER_HOST, if set.</param>
/// <param name="Development">The one development switch; a plain process needs it.</param>
internal sealed record RunnerRequest(string Wanted, string NodeId, string NodeName, string StateFolder, string? DockerHost, bool Development, bool AllowPlainProcess, TimeSpan SimulatedWork);

/// <summary>The runner that was taken, and in words why not a stronger one.</summary>
internal sealed record ChosenRunner(IUnitRunner Runner, IReadOnlyList<string> StrongerButUnavailable);

/// <summary>Takes the strongest isolation that works on this machine: engine, then bubblewrap, then, for a demo only, none.</summary>
internal static class RunnerChoice
{
    public static readonly string[] Names = ["auto", "docker", "bubblewrap", "process", "simulate"];

    public static async Task<ChosenRunner> ChooseAsync(RunnerRequest request, ImageStore images, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var reasons = new List<string>();
        if (request.Wanted == "simulate")
        {
            return new ChosenRunner(new SimulateRunner(time, request.SimulatedWork, request.NodeName), ["simulate was asked for: no module runs"]);
        }

        if (request.Wanted is "auto" or "docker")
        {
            var (engine, whyNot) = await DockerEngine.FindAsync(request.NodeId, request.StateFolder, request.DockerHost, time, cancellationToken);
            if (engine is not null)
            {
                var runner = new DockerRunner(engine, images.Sources, request.NodeId, Path.Combine(request.StateFolder, "runner"), time, loggers.CreateLogger<DockerRunner>());
                return new ChosenRunner(runner, Weaknesses(engine.Facts));
            }

            reasons.Add("docker: " + whyNot);
        }

        if (request.Wanted is "auto" or "bubblewrap")
        {
            var whyNot = await BubblewrapRunner.WhyNotAsync(cancellationToken);
            if (whyNot is null)
            {
                return new ChosenRunner(new BubblewrapRunner(request.NodeId, Path.Combine(request.StateFolder, "runner"), images, time), reasons);
            }

            reasons.Add("bubblewrap: " + whyNot);
        }

        if (request.Wanted is "auto" or "process")
        {
            if (request is { Development: true, AllowPlainProcess: true })
            {
                return new ChosenRunner(new ProcessRunner(images, time), reasons);
            }

            reasons.Add("process: only with RENDERTRUST_ENVIRONMENT=Development and --allow-plain-process, since it isolates nothing");
        }

        throw new Hosting.NodeStartException(
            $"No runner '{request.Wanted}' works on this machine. {string.Join(". ", reasons)}. Install docker.io or bubblewrap.");
    }

    private static List<string> Weaknesses(EngineFacts facts)
    {
        List<string> weaknesses = [];
        if (facts is { Rootless: false, UserNamespaces: false })
        {
            weaknesses.Add("the engine is rootful: a rootless one or --userns-remap would add a user namespace (modules run as an unprivileged user all the same)");
        }

        if (!facts.LimitsEnforced)
        {
            weaknesses.Add("this engine does not enforce memory, process and CPU limits here: use control groups v2 or a rootful engine");
        }

        if (!facts.Seccomp)
        {
            weaknesses.Add("this engine reports no seccomp support");
        }

        return weaknesses;
    }
}
