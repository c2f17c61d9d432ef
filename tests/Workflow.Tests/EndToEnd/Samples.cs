using System.Collections.Concurrent;
using Dapr.Workflow;
using Microsoft.Extensions.Logging;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>What the activities of the tests have done, by instance: their only effect on the world.</summary>
public sealed class Deeds
{
    private readonly ConcurrentQueue<(string Instance, string Deed)> all = new();

    public void Add(string instance, string deed) => all.Enqueue((instance, deed));

    public IReadOnlyList<string> Of(string instance) => [.. all.Where(entry => entry.Instance == instance).Select(entry => entry.Deed)];
}

internal sealed record Order(string Scene, int Frames);

internal sealed record Receipt(string Scene, int[] Sizes, string Note);

/// <summary>Activities one after the other and side by side, a status, a logger.</summary>
internal sealed class RenderWorkflow : Workflow<Order, Receipt>
{
    public override async Task<Receipt> RunAsync(WorkflowContext context, Order input)
    {
        var logger = context.CreateReplaySafeLogger<RenderWorkflow>();
        context.SetCustomStatus(new { Stage = "rendering" });
        logger.LogDebug("Rendering {Frames} frames", input.Frames);
        var sizes = await Task.WhenAll(Enumerable.Range(1, input.Frames).Select(frame => context.CallActivityAsync<int>(nameof(RenderFrame), frame)));
        context.SetCustomStatus(new { Stage = "done" });
        return new Receipt(input.Scene, sizes, await context.CallActivityAsync<string>(nameof(Thank), input.Scene));
    }
}

internal sealed class RenderFrame(Deeds deeds) : WorkflowActivity<int, int>
{
    public override Task<int> RunAsync(WorkflowActivityContext context, int input)
    {
        deeds.Add(context.InstanceId, $"frame {input}");
        return Task.FromResult(input * 100);
    }
}

internal sealed class Thank : WorkflowActivity<string, string>
{
    public override Task<string> RunAsync(WorkflowActivityContext context, string input) => Task.FromResult($"thanks for {input}");
}

/// <summary>Fails twice, then works; remembers its keys.</summary>
internal sealed class Flaky(Deeds deeds) : WorkflowActivity<string, string>
{
    public override Task<string> RunAsync(WorkflowActivityContext context, string input)
    {
        deeds.Add(context.InstanceId, context.TaskExecutionKey);
        return deeds.Of(context.InstanceId).Count < 3 ? throw new TimeoutException("not yet") : Task.FromResult("at last");
    }
}
