using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.A2A;

public sealed class SubmitTests : IAsyncLifetime
{
    private EdgeHost _host = null!;
    private A2AClient _agent = null!;
    private Device _device = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _host = await EdgeHost.StartAsync();
        _agent = _host.NewAgent(out _device);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private async Task<A2AError> RefusedAsync(SendMessageRequest request) =>
        (await Assert.ThrowsAsync<A2AErrorException>(() => _agent.SendMessageAsync(request, Token))).Error;

    [Fact]
    public async Task A_sealed_job_becomes_a_task_and_its_blobs_are_kept()
    {
        var (request, spec) = TestData.Submission();

        var task = (await _agent.SendMessageAsync(request, Token)).Task!;

        Assert.Equal(FakeScheduler.TaskIdOf(_device.Tenant, spec.JobId).ToString(), task.Id);
        Assert.Equal(TaskState.Submitted, task.Status.State);
        Assert.NotEmpty(task.ContextId!);
        Assert.Equal(spec.JobId.ToString(), (string?)task.Metadata![WellKnown.SealingExtension]!["jobId"]);
        var submitted = Assert.Single(_host.Sidecar.Scheduler.Submissions);
        Assert.Equal((_device.Tenant, task.ContextId, spec.JobId), (submitted.TenantId, submitted.ContextId, submitted.Spec.JobId));
        Assert.Equal(2, _host.BlobCount);
    }

    [Fact]
    public async Task A_repeated_message_answers_the_same_task()
    {
        var (request, _) = TestData.Submission();

        var first = (await _agent.SendMessageAsync(request, Token)).Task!;
        var second = (await _agent.SendMessageAsync(request, Token)).Task!;

        Assert.Equal((first.Id, first.ContextId), (second.Id, second.ContextId));
    }

    [Fact]
    public async Task An_answer_that_was_lost_is_asked_for_again()
    {
        _host.Sidecar.Scheduler.LostAnswers = 1;
        var (request, spec) = TestData.Submission();

        var task = (await _agent.SendMessageAsync(request, Token)).Task!;

        Assert.Equal(FakeScheduler.TaskIdOf(_device.Tenant, spec.JobId).ToString(), task.Id);
        Assert.Equal(2, _host.Sidecar.Scheduler.Submissions.Count);
    }

    [Fact]
    public async Task A_client_context_is_kept_and_another_one_for_the_same_job_refused()
    {
        var (request, _) = TestData.Submission();
        var mine = request with { Message = request.Message! with { ContextId = "mine" } };

        Assert.Equal("mine", (await _agent.SendMessageAsync(mine, Token)).Task!.ContextId);
        var refusal = await RefusedAsync(request with { Message = request.Message! with { ContextId = "other" } });

        Assert.Equal(("message.contextId", A2AErrorCodes.InvalidParams), (refusal.FieldViolations[0].Field, refusal.Code));
    }

    [Fact]
    public async Task Plain_text_is_answered_with_what_this_agent_can_do()
    {
        var answer = await _agent.SendMessageAsync(TestData.Message(Part.FromText("What can you do?")), Token);

        var text = answer.Message!.Parts[0].Text!;
        Assert.Contains("povray@1.0.0: POV-Ray, 0.06 credits per CPU-minute", text, StringComparison.Ordinal);
        Assert.Contains(MediaTypes.JobSpec, text, StringComparison.Ordinal);
        Assert.Empty(_host.Sidecar.Scheduler.Submissions);
    }

    [Fact]
    public async Task Plaintext_assets_are_refused_with_the_remedy()
    {
        var (_, spec) = TestData.Submission();
        Part[] plaintext =
        [
            Part.FromText("sphere { 0, 1 }"),
            Part.FromRaw("camera {}"u8.ToArray(), MediaTypes.Sealed, "scene.pov"),
            Part.FromRaw("RTSEAL"u8.ToArray(), MediaTypes.Sealed),
            Part.FromRaw(TestData.Sealed("x"), "image/png"),
            new Part { Url = "https://example.com/scene.pov" },
            Part.FromData(new { prompt = "a cat" }, "application/json"),
        ];

        foreach (var part in plaintext)
        {
            var refusal = await RefusedAsync(TestData.Message(TestData.SpecPart(spec), part));

            Assert.Equal((A2AErrorCodes.ContentTypeNotSupported, "CONTENT_TYPE_NOT_SUPPORTED", "message.parts[1]"), (refusal.Code, refusal.Reason, refusal.Metadata("field")));
        }

        Assert.Equal(A2AErrorCodes.ContentTypeNotSupported, (await RefusedAsync(TestData.Message(new Part { Text = "sphere {}", Filename = "scene.pov" }))).Code);
        Assert.Equal(0, _host.BlobCount);
        Assert.Empty(_host.Sidecar.Scheduler.Submissions);
    }

    [Theory]
    [InlineData("prompt", "\"a cat\"", "message.parts[0].data.prompt")]
    [InlineData("unitCount", "0", "message.parts[0].data.unitCount")]
    [InlineData("unitCount", "\"many\"", "message.parts[0].data.unitCount")]
    [InlineData("jobId", "\"7\"", "message.parts[0].data.jobId")]
    [InlineData("module", "\"povray\"", "message.parts[0].data.module")]
    [InlineData("capMicrocredits", "-1", "message.parts[0].data.capMicrocredits")]
    [InlineData("grants", "[]", "message.parts[0].data.grants")]
    [InlineData("manifest", "{\"assetId\":\"00000000-0000-0000-0000-000000000000\",\"blobSha256\":\"x\",\"sizeBytes\":1}", "message.parts[0].data.manifest.blobSha256")]
    [InlineData("grants", "[null]", "message.parts[0].data.grants[0]")]
    [InlineData("assets", "[null]", "message.parts[0].data.assets[0]")]
    [InlineData("manifest", null, "message.parts[0].data")]
    [InlineData("publicParameters", "{\"prompt\":\"a cat\"}", "message.parts[0].data.publicParameters.prompt")]
    [InlineData("publicParameters", "{\"quality\":12}", "message.parts[0].data.publicParameters.quality")]
    [InlineData("publicParameters", "[]", "message.parts[0].data.publicParameters")]
    [InlineData("publicParameters", "{\"quality\":\"\\u0000\"}", "message.parts[0].data.publicParameters")]
    [InlineData("publicParameters", "{\"quality\":1e-20000}", "message.parts[0].data.publicParameters")]
    [InlineData("publicParameters", "{\"quality\":0e-99999999999}", "message.parts[0].data.publicParameters")]
    public async Task A_wrong_member_of_the_spec_is_named_by_its_path(string member, string? json, string path)
    {
        var (request, _) = TestData.Submission();
        var data = JsonNode.Parse(request.Message!.Parts[0].Data.GetRawText())!.AsObject();
        data.Remove(member);
        if (json is not null)
        {
            data[member] = JsonNode.Parse(json);
        }

        var refusal = await RefusedAsync(TestData.Message([Part.FromData(data, MediaTypes.JobSpec), .. request.Message.Parts.Skip(1)]));

        Assert.Equal(A2AErrorCodes.InvalidParams, refusal.Code);
        Assert.Contains(path, refusal.FieldViolations.Select(violation => violation.Field));
        Assert.DoesNotContain("RenderTrust.", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(_host.Sidecar.Scheduler.Submissions);
    }

    [Fact]
    public async Task A_module_without_public_parameters_takes_none()
    {
        _host.Sidecar.Modules[0] = TestData.Module(publicSchema: null);
        var (manifest, asset) = (TestData.Sealed("m"), TestData.Sealed("a"));
        var spec = TestData.Spec(manifest, asset) with { PublicParameters = System.Text.Json.JsonDocument.Parse("""{"quality":3}""").RootElement };

        var refusal = await RefusedAsync(TestData.Message(TestData.SpecPart(spec), TestData.SealedPart(manifest), TestData.SealedPart(asset)));

        Assert.Equal("message.parts[0].data.publicParameters.quality", refusal.FieldViolations[0].Field);
    }

    [Fact]
    public async Task Two_specs_and_none_are_refused()
    {
        var (_, spec) = TestData.Submission();

        Assert.Equal("message.parts", (await RefusedAsync(TestData.Message(TestData.SpecPart(spec), TestData.SpecPart(spec)))).FieldViolations[0].Field);
        Assert.Equal("message.parts", (await RefusedAsync(TestData.Message(TestData.SealedPart(TestData.Sealed("x"))))).FieldViolations[0].Field);
    }

    [Fact]
    public async Task An_asset_without_a_grant_is_refused()
    {
        var (manifest, asset) = (TestData.Sealed("m"), TestData.Sealed("a"));
        var spec = TestData.Spec(manifest, asset);

        var refusal = await RefusedAsync(TestData.Message(TestData.SpecPart(spec with { Grants = [spec.Grants[0]] }), TestData.SealedPart(manifest), TestData.SealedPart(asset)));

        Assert.Equal("message.parts[0].data.grants", refusal.FieldViolations[0].Field);
        Assert.Contains("assets[0]", refusal.FieldViolations[0].Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inline_bytes_that_the_spec_does_not_name_are_refused()
    {
        var (request, _) = TestData.Submission();

        var refusal = await RefusedAsync(TestData.Message([.. request.Message!.Parts, TestData.SealedPart(TestData.Sealed("tampered"))]));

        Assert.Equal("message.parts[3].raw", refusal.FieldViolations[0].Field);
    }

    [Fact]
    public async Task A_blob_that_is_neither_inline_nor_uploaded_is_named()
    {
        var (manifest, asset) = (TestData.Sealed("m"), TestData.Sealed("a"));
        var spec = TestData.Spec(manifest, asset);
        var request = TestData.Message(TestData.SpecPart(spec), TestData.SealedPart(manifest));

        var refusal = await RefusedAsync(request);
        Assert.Equal(("BLOB_MISSING", spec.Assets[0].BlobSha256, "message.parts[0].data.assets[0]"), (refusal.Reason, refusal.Metadata("sha256"), refusal.FieldViolations[0].Field));

        // Another tenant's blob of that hash changes nothing.
        await _host.StoreAsync(TenantId.New(), asset);
        Assert.Equal("BLOB_MISSING", (await RefusedAsync(request)).Reason);

        await _host.StoreAsync(_device.Tenant, asset);
        Assert.NotNull((await _agent.SendMessageAsync(request, Token)).Task);
    }

    [Fact]
    public async Task An_unknown_module_is_refused_before_anything_is_stored()
    {
        var (manifest, asset) = (TestData.Sealed("m"), TestData.Sealed("a"));
        var spec = TestData.Spec(manifest, asset) with { Module = "blender@9.9.9" };

        var refusal = await RefusedAsync(TestData.Message(TestData.SpecPart(spec), TestData.SealedPart(manifest), TestData.SealedPart(asset)));

        Assert.Equal(("UNKNOWN_MODULE", "blender@9.9.9"), (refusal.Reason, refusal.Metadata("module")));
        Assert.Equal(0, _host.BlobCount);
    }

    [Theory]
    [InlineData("InsufficientCredits", "INSUFFICIENT_CREDITS")]
    [InlineData("CapBelowPrice", "CAP_BELOW_PRICE")]
    [InlineData("UnknownModule", "UNKNOWN_MODULE")]
    [InlineData("ConflictingContent", "CONFLICTING_CONTENT")]
    [InlineData("NoEligibleRecipient", "NO_ELIGIBLE_RECIPIENT")]
    [InlineData("AccountBlocked", "ACCOUNT_BLOCKED")]
    [InlineData("ManifestRateBelowNodeRate", "RATE_BELOW_NODE_RATE")]
    public async Task A_refusal_of_the_scheduler_has_a_reason_and_a_remedy(string outcome, string reason)
    {
        _host.Sidecar.Scheduler.Refusal = new SubmitJobResponse(Enum.Parse<SubmitOutcome>(outcome), null, 16_000_000, 5, null);

        var refusal = await RefusedAsync(TestData.Submission().Request);

        Assert.Equal((A2AErrorCodes.InvalidParams, reason), (refusal.Code, refusal.Reason));
        Assert.Contains(". ", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_credits_are_refused_exactly_like_this()
    {
        _host.Sidecar.Scheduler.Refusal = new SubmitJobResponse(SubmitOutcome.InsufficientCredits, null, 16_000_000, 5, null);

        var refusal = await RefusedAsync(TestData.Submission().Request);

        Assert.Equal(
            """[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"message.parts[0].data","description":"The job needs 16000000 micro-credits set aside, 5 are available. Top up, or lower unitCount or maxUnitDeviceSeconds."}]},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INSUFFICIENT_CREDITS","domain":"rendertrust.dev","metadata":{"priceMicrocredits":"16000000","availableMicrocredits":"5"}}]""",
            new JsonArray([.. refusal.Data.Select(d => d.DeepClone())]).ToJsonString(A2AJson.Options));
    }

    [Fact]
    public async Task More_inline_bytes_than_allowed_are_sent_to_the_uploads()
    {
        await using var small = await EdgeHost.StartAsync(("Gateway:A2A:MaxInlineBytes", "100"));
        var asset = TestData.Sealed(new string('x', 100));
        var manifest = TestData.Sealed("m");

        var refused = await Assert.ThrowsAsync<A2AErrorException>(() => small.NewAgent(out _).SendMessageAsync(
            TestData.Message(TestData.SpecPart(TestData.Spec(manifest, asset)), TestData.SealedPart(manifest), TestData.SealedPart(asset)), Token));

        Assert.Equal(("INLINE_TOO_LARGE", A2AErrorCodes.InvalidParams), (refused.Error.Reason, refused.Error.Code));
        Assert.Contains("/v1/uploads", refused.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_oversized_body_is_a_413_that_says_so()
    {
        using var client = _device.Client(_host.Gateway);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/a2a") { Content = new StringContent(new string(' ', 3 * 1024 * 1024), Encoding.UTF8, "application/json") };
        request.Headers.ExpectContinue = true;
        request.Headers.Add("A2A-Version", "1.0");

        using var response = await client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("-32602", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scheduler_that_is_down_is_said_to_be_down()
    {
        var (request, _) = TestData.Submission();
        _host.Sidecar.Unreachable["scheduler"] = true;

        var refusal = await RefusedAsync(request);

        Assert.Equal((A2AErrorCodes.InternalError, "OUTCOME_UNKNOWN"), (refusal.Code, refusal.Reason));
    }

    [Fact]
    public async Task A_message_to_a_running_task_is_refused_and_to_a_foreign_one_looks_unknown()
    {
        var task = (await _agent.SendMessageAsync(TestData.Submission().Request, Token)).Task!;
        var followUp = TestData.Message(Part.FromText("hurry")) is var m ? m with { Message = m.Message! with { TaskId = task.Id } } : null!;

        Assert.Equal(A2AErrorCodes.UnsupportedOperation, (await RefusedAsync(followUp)).Code);
        var stranger = _host.NewAgent(out _);
        var foreign = await Assert.ThrowsAsync<A2AErrorException>(() => stranger.SendMessageAsync(followUp, Token));
        Assert.Equal("TASK_NOT_FOUND", foreign.Error.Reason);
    }

    [Fact]
    public async Task The_submit_time_is_handed_over_and_handing_over_costs_nothing()
    {
        await _agent.SendMessageAsync(TestData.Submission().Request, Token);

        await EdgeHost.UntilAsync(() => _host.Sidecar.Scheduler.Timings.Count >= 2, "two timings");
        Assert.Equal(["ledgerHandover", "submit"], _host.Sidecar.Scheduler.Timings.Select(t => t.Name).Order(StringComparer.Ordinal));
        Assert.All(_host.Sidecar.Scheduler.Timings, timing => Assert.True(timing.Milliseconds >= 0));
    }
}
