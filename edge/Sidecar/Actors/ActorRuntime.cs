using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Actors;

internal sealed class ActorRuntime
{
    public void Register(HostedApp app)
    {
    }

    public Task UnregisterAsync(HostedApp app, bool isGone) => Task.CompletedTask;

    public IReadOnlyList<(string Type, int Count)> ActiveActors(HostedApp app) => [];
}
