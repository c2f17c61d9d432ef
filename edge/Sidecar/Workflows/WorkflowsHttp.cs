using System.Text;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>/v1.0/workflows, and the same under its two earlier versions.</summary>
internal sealed class WorkflowsHttp(DaprWorkflowApi api)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        foreach (var version in (string[])["v1.0", "v1.0-beta1", "v1.0-alpha1"])
        {
            var workflows = routes.MapGroup($"/{version}/workflows/{{component}}");
            workflows.MapPost("/{name}/start", StartAsync);
            workflows.MapGet("/{instance}", GetAsync);
            workflows.MapPost("/{instance}/raiseEvent/{event}", context => AcceptAsync(context, async (app, id, token) =>
                await api.RaiseAsync(app, id, context.Route("event"), await ReadTextAsync(context), token)));
            workflows.MapPost("/{instance}/terminate", context => AcceptAsync(context, api.TerminateAsync));
            workflows.MapPost("/{instance}/pause", context => AcceptAsync(context, api.PauseAsync));
            workflows.MapPost("/{instance}/resume", context => AcceptAsync(context, api.ResumeAsync));
            workflows.MapPost("/{instance}/purge", context => AcceptAsync(context, api.PurgeAsync));
        }
    }

    private async Task StartAsync(HttpContext context)
    {
        var id = await api.StartAsync(context.App(), context.Route("name"), context.Request.Query["instanceID"].ToString(), await ReadTextAsync(context), [],
            context.Request.Headers.TraceParent, context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        await DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("instanceID", id);
            writer.WriteEndObject();
        });
    }

    private async Task GetAsync(HttpContext context)
    {
        var id = context.Route("instance");
        if (await api.GetAsync(context.App(), id, context.RequestAborted) is not { } record)
        {
            await DaprHttp.WriteErrorAsync(context, 404, "ERR_INSTANCE_ID_NOT_FOUND", $"unable to find workflow with the provided instance ID: {id}");
            return;
        }

        await DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("instanceID", record.Address.InstanceId);
            writer.WriteString("workflowName", record.Started.Name);
            writer.WriteString("createdAt", StateHttp.Rfc3339(record.CreatedAt));
            writer.WriteString("lastUpdatedAt", StateHttp.Rfc3339(record.UpdatedAt));
            writer.WriteString("runtimeStatus", DaprWorkflowApi.StatusName(record.Status));
            writer.WriteStartObject("properties");
            foreach (var (name, value) in DaprWorkflowApi.Properties(record))
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        });
    }

    private static async Task AcceptAsync(HttpContext context, Func<Hosting.HostedApp, string, CancellationToken, Task> run)
    {
        await run(context.App(), context.Route("instance"), context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status202Accepted;
    }

    // The body is the input as it is, whatever it means to the workflow.
    private static async Task<string> ReadTextAsync(HttpContext context) => Encoding.UTF8.GetString(await DaprHttp.ReadBodyAsync(context));
}
