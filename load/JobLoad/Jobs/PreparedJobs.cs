using System.Collections.Concurrent;
using System.Text.Json;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;

namespace RenderTrust.JobLoad.Jobs;

/// <summary>Seals all jobs of a run before it starts, and pays for them.</summary>
internal static class PreparedJobs
{
    private const int MaxUnitDeviceSeconds = 10;

    public static async Task<ConcurrentQueue<PreparedJob>> MakeAsync(RenderTrustClient client, JobsCommand command, CancellationToken cancellationToken)
    {
        var modules = (await client.Modules.ListAsync(cancellationToken)).Modules;
        var module = modules.Count > 0 ? modules[0] : throw new LoadException("This platform has no module. './rendertrust up --runner simulate' publishes one.");
        var nodes = await client.Identity.GetRecipientsAsync("node", cancellationToken);
        var count = command.WarmUpJobs + command.MeasuredJobs;
        var worst = Pricing.WorstCase(command.Units, MaxUnitDeviceSeconds, module.RatePerMinuteMicrocredits);
        await client.Credits.TopUpAsync(Guid.CreateVersion7(), worst * count, cancellationToken);

        var queue = new ConcurrentQueue<PreparedJob>();
        await Parallel.ForEachAsync(Enumerable.Range(0, count), cancellationToken, async (index, stop) =>
        {
            var draft = new JobDraft
            {
                Module = module.Reference,
                Parameters = JsonSerializer.SerializeToElement(new { scene = "load.pov" }),
                Units = [.. Enumerable.Range(0, command.Units).Select(frame => JsonSerializer.SerializeToElement(new { frame, clock = 0.0 }))],
                MaxUnitDeviceSeconds = MaxUnitDeviceSeconds,
                CapMicrocredits = worst,
                DeadlineSeconds = 3600,
                Nodes = [.. Enumerable.Range(0, Math.Min(command.Recipients, nodes.Count)).Select(offset => nodes[((index * command.Recipients) + offset) % nodes.Count])],
            };
            queue.Enqueue(await client.Jobs.PrepareAsync(draft, null, stop));
        });
        return queue;
    }
}
