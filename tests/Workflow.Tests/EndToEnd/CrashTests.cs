using Dapr.Workflow;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.TestKit;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>Sidecars and workers die in the middle; code changes under running instances.</summary>
public sealed class CrashTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_killed_sidecar_loses_nothing_and_no_answered_activity_runs_again()
    {
        await using var sidecar = new SidecarProcess(database);
        await sidecar.StartAsync();
        var deeds = new Deeds();
        await using var app = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, Journey, services => services.AddSingleton(deeds));
        var id = await app.Client.ScheduleNewWorkflowAsync("Journey", Guid.CreateVersion7().ToString("N"), 3);

        for (var stop = 1; stop <= 3; stop++)
        {
            await Wait.UntilAsync($"stop {stop} is reached", async () => (await app.Client.GetWorkflowStateAsync(id, cancellation: Token)).ReadCustomStatusAs<string>() == $"at {stop}", () => sidecar.Output);
            await sidecar.KillAsync();
            await sidecar.StartAsync();
            await Wait.UntilAsync("the event is taken", async () =>
            {
                await app.Client.RaiseEventAsync(id, "go", stop, Token);
                return true;
            });
        }

        var state = await app.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token);
        Assert.Equal("1, 2, 3", state.ReadOutputAs<string>());
        Assert.Equal(["travel 1", "travel 2", "travel 3"], deeds.Of(id));
    }

    [Fact]
    public async Task A_timer_that_falls_due_while_the_sidecar_is_down_fires_after_it_is_back()
    {
        await using var sidecar = new SidecarProcess(database);
        await sidecar.StartAsync();
        await using var app = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => options.RegisterWorkflow<string?, string>("Nap", async (context, _) =>
        {
            await context.CreateTimer(TimeSpan.FromMilliseconds(500));
            return "woken";
        }));
        var id = await app.Client.ScheduleNewWorkflowAsync("Nap", Guid.CreateVersion7().ToString("N"));

        await sidecar.KillAsync();
        await sidecar.StartAsync();

        Assert.Equal("woken", (await app.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task An_activity_whose_worker_dies_is_done_by_the_next_one()
    {
        await using var sidecar = new SidecarProcess(database);
        await sidecar.StartAsync();
        var inside = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var dying = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => OneStep(options, async () =>
        {
            inside.TrySetResult();
            await Task.Delay(Timeout.Infinite, Token);
            return "never";
        }));
        var id = await dying.Client.ScheduleNewWorkflowAsync("OneStep", Guid.CreateVersion7().ToString("N"));
        await inside.Task;
        await dying.CrashAsync();

        await using var next = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => OneStep(options, () => Task.FromResult("by the next")));

        Assert.Equal("by the next", (await next.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token)).ReadOutputAs<string>());
        await dying.DisposeAsync();
    }

    [Fact]
    public async Task A_patched_release_goes_on_with_old_instances_on_the_old_path()
    {
        await using var sidecar = new SidecarProcess(database);
        await sidecar.StartAsync();
        var old = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => Release(options, async context =>
        {
            await context.WaitForExternalEventAsync<string>("go");
            return "old " + await context.CallActivityAsync<string>("Step");
        }));
        var id = await old.Client.ScheduleNewWorkflowAsync("Release", Guid.CreateVersion7().ToString("N"));
        await old.DisposeAsync();

        await using var patched = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => Release(options, async context =>
        {
            var path = context.IsPatched("faster") ? "new " : "old ";
            await context.WaitForExternalEventAsync<string>("go");
            return path + await context.CallActivityAsync<string>("Step");
        }));
        var fresh = await patched.Client.ScheduleNewWorkflowAsync("Release", Guid.CreateVersion7().ToString("N"));
        await patched.Client.RaiseEventAsync(id, "go", cancellation: Token);
        await patched.Client.RaiseEventAsync(fresh, "go", cancellation: Token);

        Assert.Equal("old step", (await patched.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token)).ReadOutputAs<string>());
        Assert.Equal("new step", (await patched.Client.WaitForWorkflowCompletionAsync(fresh, cancellation: Token)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_release_that_does_not_fit_holds_the_instance_until_one_comes_that_does()
    {
        Assert.SkipUnless(Implementation.IsOurs, "The official package does not notice.");
        await using var sidecar = new SidecarProcess(database);
        await sidecar.StartAsync();
        static async Task<string> Fitting(WorkflowContext context)
        {
            await context.CallActivityAsync("Step");
            await context.WaitForExternalEventAsync<string>("go");
            return "finished";
        }

        var good = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => Release(options, Fitting));
        var id = await good.Client.ScheduleNewWorkflowAsync("Release", Guid.CreateVersion7().ToString("N"));
        await Wait.UntilAsync("the step is done", async () => (await good.Client.GetInstanceHistoryAsync(id, Token)).Any(entry => entry.EventType == Dapr.Workflow.Client.WorkflowHistoryEventType.TaskCompleted));
        await good.DisposeAsync();

        var bad = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => Release(options, async context =>
        {
            await context.CallActivityAsync("Other");
            return "wrong";
        }));
        await bad.Client.RaiseEventAsync(id, "go", cancellation: Token);
        await Wait.UntilAsync("the instance is held", async () => (await bad.Client.GetWorkflowStateAsync(id, cancellation: Token)).RuntimeStatus == WorkflowRuntimeStatus.Stalled);
        await bad.DisposeAsync();

        await using var fixedRelease = await App.StartAsync(sidecar.One.Grpc, sidecar.ApiToken, options => Release(options, Fitting));
        Assert.Equal("finished", (await fixedRelease.Client.WaitForWorkflowCompletionAsync(id, cancellation: Token)).ReadOutputAs<string>());
    }

    private static void Journey(WorkflowRuntimeOptions options)
    {
        options.RegisterWorkflow<int, string>("Journey", async (context, stops) =>
        {
            var seen = new List<string>();
            for (var stop = 1; stop <= stops; stop++)
            {
                seen.Add(await context.CallActivityAsync<string>("Travel", stop));
                context.SetCustomStatus($"at {stop}");
                Assert.Equal(stop, await context.WaitForExternalEventAsync<int>("go"));
            }

            return string.Join(", ", seen);
        });
        options.RegisterActivity<Travel>();
    }

    private static void OneStep(WorkflowRuntimeOptions options, Func<Task<string>> step)
    {
        options.RegisterWorkflow<string?, string>("OneStep", (context, _) => context.CallActivityAsync<string>("Step"));
        options.RegisterActivity<string?, string>("Step", (_, _) => step());
    }

    private static void Release(WorkflowRuntimeOptions options, Func<WorkflowContext, Task<string>> code)
    {
        options.RegisterWorkflow<string?, string>("Release", (context, _) => code(context));
        options.RegisterActivity<string?, string>("Step", (_, _) => Task.FromResult("step"));
        options.RegisterActivity<string?, string>("Other", (_, _) => Task.FromResult("other"));
    }

    private sealed class Travel(Deeds deeds) : WorkflowActivity<int, string>
    {
        public override Task<string> RunAsync(WorkflowActivityContext context, int input)
        {
            deeds.Add(context.InstanceId, $"travel {input}");
            return Task.FromResult($"{input}");
        }
    }
}
