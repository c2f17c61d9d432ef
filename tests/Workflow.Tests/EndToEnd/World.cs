using Dapr.Workflow;
using Microsoft.Extensions.DependencyInjection;
using RenderTrust.TestKit;

namespace RenderTrust.Workflow.Tests.EndToEnd;

/// <summary>A database, a sidecar and an app for the tests of a class; tests keep apart by instance ids.</summary>
public sealed class World : IAsyncLifetime
{
    private readonly TestDatabase database = new();
    private App? app;

    public SidecarProcess Sidecar { get; private set; } = null!;

    public Deeds Deeds { get; } = new();

    internal DaprWorkflowClient Client => app!.Client;

    public async ValueTask InitializeAsync()
    {
        await database.InitializeAsync();
        Sidecar = new SidecarProcess(database);
        await Sidecar.StartAsync();
        app = await StartAppAsync(Register);
    }

    internal Task<App> StartAppAsync(Action<WorkflowRuntimeOptions> register, bool second = false) =>
        App.StartAsync(second ? Sidecar.Two.Grpc : Sidecar.One.Grpc, Sidecar.ApiToken, register, services => services.AddSingleton(Deeds));

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            await app.DisposeAsync();
        }

        await Sidecar.DisposeAsync();
        await database.DisposeAsync();
    }

    private void Register(WorkflowRuntimeOptions options)
    {
        options.RegisterWorkflow<RenderWorkflow>();
        options.RegisterActivity<RenderFrame>();
        options.RegisterActivity<Thank>();
        options.RegisterActivity<Flaky>();
        options.RegisterWorkflow<string, string>("Approval", async (context, _) =>
        {
            try
            {
                return "approved by " + await context.WaitForExternalEventAsync<string>("approve", TimeSpan.FromSeconds(2));
            }
            catch (TaskCanceledException)
            {
                return "too late";
            }
        });
        options.RegisterWorkflow<int, string>("Napping", async (context, milliseconds) =>
        {
            var before = context.CurrentUtcDateTime;
            await context.CreateTimer(TimeSpan.FromMilliseconds(milliseconds));
            return (context.CurrentUtcDateTime - before).TotalMilliseconds >= milliseconds ? "slept" : "woke too early";
        });
        options.RegisterWorkflow<int, int[]>("Tally", async (context, rounds) =>
        {
            // One generation for each event: many in a row, and events that wait for a later generation.
            var next = await context.WaitForExternalEventAsync<int>("count");
            context.SetCustomStatus(next);
            if (rounds == 1)
            {
                return [next];
            }

            context.ContinueAsNew(rounds - 1);
            return [];
        });
        options.RegisterWorkflow<int, int>("Countdown", (context, left) =>
        {
            if (left > 0)
            {
                context.ContinueAsNew(left - 1);
            }

            return Task.FromResult(left);
        });
        options.RegisterWorkflow<string, string>("Parent", async (context, childId) =>
        {
            try
            {
                return "child said " + await context.CallChildWorkflowAsync<string>("Child", childId, new ChildWorkflowTaskOptions(childId));
            }
            catch (WorkflowTaskFailedException failure)
            {
                return "child failed: " + failure.FailureDetails.ErrorMessage;
            }
        });
        options.RegisterWorkflow<string, string>("Child", async (context, input) =>
        {
            var word = await context.WaitForExternalEventAsync<string>("say");
            return word == "fail" ? throw new InvalidOperationException("told to") : $"{word} ({input})";
        });
        options.RegisterWorkflow<string, string>("Retrying", (context, input) => context.CallActivityAsync<string>(
            nameof(Flaky), input, new WorkflowTaskOptions(new WorkflowRetryPolicy(5, TimeSpan.FromMilliseconds(100)))));
        options.RegisterWorkflow<string, string>("Sender", async (context, receiver) =>
        {
            context.SendEvent(receiver, "say", "hello");
            await context.CreateTimer(TimeSpan.FromMilliseconds(10));
            return "sent";
        });
        options.RegisterWorkflow<string, string>("Abroad", (context, input) => context.CallActivityAsync<string>("Local", input, new WorkflowTaskOptions(TargetAppId: "two")));
        options.RegisterWorkflow<string, string>("Sleepless", async (_, _) =>
        {
            await Task.Delay(TimeSpan.FromDays(1));
            return "never";
        });
    }
}
