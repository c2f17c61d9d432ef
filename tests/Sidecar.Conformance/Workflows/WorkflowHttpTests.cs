using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Workflows;

/// <summary>/v1.0/workflows: start, look, steer, end.</summary>
public sealed class WorkflowHttpTests(World world, WorkflowWorker worker) : IClassFixture<WorkflowWorker>
{
    private DaprSidecar Dapr => world.Main;

    internal static string NewId() => $"w{Guid.CreateVersion7():N}";

    [Theory]
    [InlineData("v1.0")]
    [InlineData("v1.0-beta1")]
    [InlineData("v1.0-alpha1")]
    public async Task A_start_is_accepted_and_names_the_instance(string version)
    {
        var id = NewId();

        var answer = (await Dapr.PostAsync($"/{version}/workflows/dapr/Double/start?instanceID={id}", "\"ab\"")).Is(202);

        Assert.Equal(id, (string?)answer.Json["instanceID"]);
        Assert.Equal("\"abab\"", (await EndedAsync(id, "COMPLETED"))["properties"]!["dapr.workflow.output"]!.ToString());
    }

    [Fact]
    public async Task A_start_without_an_id_is_given_one()
    {
        var id = (string?)(await Dapr.PostAsync("/v1.0/workflows/dapr/Double/start", "\"ab\"")).Is(202).Json["instanceID"];

        Assert.NotNull(id);
        await EndedAsync(id, "COMPLETED");
    }

    [Fact]
    public async Task The_components_name_means_nothing()
    {
        var id = NewId();
        (await Dapr.PostAsync($"/v1.0/workflows/whatever/Double/start?instanceID={id}", "\"ab\"")).Is(202);

        await EndedAsync(id, "COMPLETED");
    }

    [Fact]
    public async Task The_state_tells_name_times_status_and_properties()
    {
        var id = await StartAsync("Wait", "\"in\"");
        await Wait.UntilAsync("it waits", async () => (await GetAsync(id))["properties"]!["dapr.workflow.custom_status"]?.ToString() == "\"waiting\"");

        var state = await GetAsync(id);

        Assert.Equal((id, "Wait", "RUNNING", "\"in\""),
            ((string?)state["instanceID"], (string?)state["workflowName"], (string?)state["runtimeStatus"], (string?)state["properties"]!["dapr.workflow.input"]));
        Assert.InRange(DateTimeOffset.Parse((string)state["createdAt"]!), DateTimeOffset.UtcNow.AddMinutes(-30), DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.True(DateTimeOffset.Parse((string)state["lastUpdatedAt"]!) >= DateTimeOffset.Parse((string)state["createdAt"]!));
    }

    [Fact]
    public async Task An_event_reaches_the_workflow()
    {
        var id = await StartAsync("Wait");

        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{id}/raiseEvent/go", "\"now\"")).Is(202);

        Assert.Equal("\"now\"", (string?)(await EndedAsync(id, "COMPLETED"))["properties"]!["dapr.workflow.output"]);
    }

    [Fact]
    public async Task A_failure_is_told_with_its_type_and_message()
    {
        var state = await EndedAsync(await StartAsync("Fail"), "FAILED");

        Assert.Equal("on purpose", (string?)state["properties"]!["dapr.workflow.failure.error_message"]);
        Assert.Contains("InvalidOperationException", (string?)state["properties"]!["dapr.workflow.failure.error_type"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pause_and_resume_change_the_status()
    {
        var id = await StartAsync("Wait");

        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{id}/pause", "")).Is(202);
        Assert.Equal("SUSPENDED", (string?)(await GetAsync(id))["runtimeStatus"]);
        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{id}/resume", "")).Is(202);
        Assert.Equal("RUNNING", (string?)(await GetAsync(id))["runtimeStatus"]);
    }

    [Fact]
    public async Task Terminate_ends_it_and_purge_forgets_it()
    {
        var id = await StartAsync("Wait");

        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{id}/terminate", "")).Is(202);
        await EndedAsync(id, "TERMINATED");
        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{id}/purge", "")).Is(202);

        (await Dapr.GetAsync($"/v1.0/workflows/dapr/{id}")).Is(404);
    }

    [Fact]
    public async Task An_unknown_instance_is_a_404() => Assert.NotNull((await Dapr.GetAsync($"/v1.0/workflows/dapr/{NewId()}")).Is(404).Json["errorCode"]);

    [Theory]
    [InlineData("raiseEvent/go")]
    [InlineData("pause")]
    [InlineData("resume")]
    public async Task Steering_an_unknown_instance_is_refused(string what) =>
        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{NewId()}/{what}", "")).Is(Differences.UnknownWorkflow.Expected);

    [Fact]
    public async Task An_id_in_use_is_refused()
    {
        var id = await StartAsync("Wait");

        (await Dapr.PostAsync($"/v1.0/workflows/dapr/Wait/start?instanceID={id}", "")).Is(Differences.WorkflowIdInUse.Expected);
    }

    [Fact]
    public async Task A_running_instance_cannot_be_purged()
    {
        var id = await StartAsync("Wait");

        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{id}/purge", "")).Is(Differences.PurgeOfRunningWorkflow.Expected);
    }

    [Theory]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789", "ERR_INSTANCE_ID_TOO_LONG")]
    [InlineData("has.dots", "ERR_INSTANCE_ID_INVALID")]
    [InlineData("has%20spaces", "ERR_INSTANCE_ID_INVALID")]
    public async Task An_id_of_this_form_is_a_400(string id, string code) => (await Dapr.PostAsync($"/v1.0/workflows/dapr/Double/start?instanceID={id}", "\"\"")).IsError(400, code);

    private async Task<string> StartAsync(string name, string input = "\"\"")
    {
        Assert.NotNull(worker);
        var id = NewId();
        (await Dapr.PostAsync($"/v1.0/workflows/dapr/{name}/start?instanceID={id}", input)).Is(202);
        return id;
    }

    private async Task<System.Text.Json.Nodes.JsonNode> GetAsync(string id) => (await Dapr.GetAsync($"/v1.0/workflows/dapr/{id}")).Is(200).Json;

    private async Task<System.Text.Json.Nodes.JsonNode> EndedAsync(string id, string status)
    {
        await Wait.UntilAsync($"{id} is {status}", async () => (string?)(await GetAsync(id))["runtimeStatus"] == status);
        return await GetAsync(id);
    }
}
