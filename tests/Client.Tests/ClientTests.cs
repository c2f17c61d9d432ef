using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Jobs;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Tests;

public sealed class ClientTests : IAsyncLifetime
{
    private const string Secret = "SECRET-SCENE-MARKER";

    private readonly string _folder = Directory.CreateTempSubdirectory("rendertrust-client-").FullName;
    private FakePlatform _platform = null!;
    private CreatorProfile _profile = null!;
    private RenderTrustClient _client = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _platform = await FakePlatform.StartAsync();
        _profile = await RenderTrustClient.SignUpAsync(new SignUp(_platform.Url, "Ada", "laptop"), Path.Combine(_folder, "profile"), Token);
        _client = new RenderTrustClient(_profile);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        _profile.Dispose();
        await _platform.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_profile_is_read_back_from_its_folder()
    {
        using var loaded = CreatorProfile.Load(_profile.Folder);

        Assert.Equal(_profile.Facts, loaded.Facts);
        Assert.Equal(_profile.DeviceKey.Thumbprint, loaded.DeviceKey.Thumbprint);
        Assert.Equal(_profile.EncryptionKey.PublicKey, loaded.EncryptionKey.PublicKey);
    }

    [Fact]
    public void A_missing_or_damaged_profile_is_a_clear_error()
    {
        Assert.Equal(RenderTrustError.InvalidProfile, Assert.Throws<RenderTrustException>(() => CreatorProfile.Load(_folder)).Error);

        File.WriteAllText(Path.Combine(_profile.Folder, "profile.json"), "{");
        Assert.Equal(RenderTrustError.InvalidProfile, Assert.Throws<RenderTrustException>(() => CreatorProfile.Load(_profile.Folder)).Error);
    }

    [Fact]
    public async Task Signing_up_again_after_a_lost_answer_takes_the_same_keys()
    {
        File.Delete(Path.Combine(_profile.Folder, "profile.json"));

        using var again = await RenderTrustClient.SignUpAsync(new SignUp(_platform.Url, "Ada", "laptop"), _profile.Folder, Token);

        Assert.Equal(_profile.DeviceKey.Thumbprint, again.DeviceKey.Thumbprint);
        Assert.Equal(_profile.EncryptionKey.PublicKey, again.EncryptionKey.PublicKey);
    }

    [Fact]
    public async Task A_platform_with_another_CA_than_the_expected_one_gets_nothing()
    {
        var signUp = new SignUp(_platform.Url, "Ada", "laptop") { CaFingerprintSha256 = new string('0', 64) };

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => RenderTrustClient.SignUpAsync(signUp, Path.Combine(_folder, "other"), Token));

        Assert.Equal(RenderTrustError.Untrusted, refusal.Error);
        Assert.False(Directory.Exists(Path.Combine(_folder, "other")));
    }

    [Fact]
    public async Task A_platform_with_a_certificate_of_its_own_CA_is_reached_once_that_CA_is_known()
    {
        await using var platform = await FakePlatform.StartAsync(https: true);
        var unknown = new SignUp(platform.Url, "Ada", "laptop");

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => RenderTrustClient.SignUpInMemoryAsync(unknown, Token));
        using var profile = await RenderTrustClient.SignUpInMemoryAsync(unknown with { CaFingerprintSha256 = platform.Ca.Fingerprint }, Token);
        using var client = new RenderTrustClient(profile);

        Assert.Equal(RenderTrustError.Unreachable, refusal.Error);
        Assert.Equal(5, (await client.Credits.GetBalanceAsync(Token)).AvailableMicrocredits);
    }

    [Fact]
    public async Task Requests_share_a_token_and_each_has_its_own_proof()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _client.Credits.GetBalanceAsync(Token)));

        Assert.Equal(1, _platform.TokensIssued);
        Assert.Equal(9, _platform.SeenProofs.Count);
        Assert.Empty(_platform.Problems);
    }

    [Fact]
    public async Task A_token_is_renewed_before_it_ends()
    {
        _platform.TokenSeconds = 0;

        await _client.Credits.GetBalanceAsync(Token);
        await _client.Credits.GetBalanceAsync(Token);

        Assert.Equal(2, _platform.TokensIssued);
        Assert.Empty(_platform.Problems);
    }

    [Fact]
    public async Task A_nonce_is_taken_up_when_the_server_asks_for_one()
    {
        _platform.Nonce = "nonce-1";
        await _client.Credits.GetBalanceAsync(Token);

        _platform.Nonce = "nonce-2";
        await _client.Credits.GetBalanceAsync(Token);

        Assert.Equal(1, _platform.TokensIssued);
        Assert.Empty(_platform.Problems);
    }

    [Fact]
    public async Task Tokens_go_nowhere_but_to_the_gateway()
    {
        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Http.GetAsync(new Uri("http://127.0.0.1:1/steal"), Token));

        Assert.Equal(RenderTrustError.Untrusted, refusal.Error);
    }

    [Fact]
    public async Task A_refusal_carries_the_platforms_words()
    {
        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Credits.TopUpAsync(Guid.CreateVersion7(), 1, Token));
        Assert.Equal(RenderTrustError.Forbidden, refusal.Error);
        Assert.Equal("Top-ups exist in Development only.", refusal.Message);

        var unknown = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Modules.GetAsync("blender@1.0.0", Token));
        Assert.Equal(RenderTrustError.NotFound, unknown.Error);

        var missing = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.GetTaskAsync("nobody", Token));
        Assert.Equal(RenderTrustError.NotFound, missing.Error);
        Assert.Equal("TASK_NOT_FOUND", missing.Reason);
    }

    [Fact]
    public async Task A_platform_that_is_down_is_called_unreachable()
    {
        await _platform.DisposeAsync();

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Credits.GetBalanceAsync(Token));

        Assert.Equal(RenderTrustError.Unreachable, refusal.Error);
        _platform = await FakePlatform.StartAsync();
    }

    [Fact]
    public async Task A_small_job_travels_in_one_message_that_only_the_node_can_read()
    {
        var draft = Draft();

        var submitted = await _client.Jobs.SubmitAsync(draft, null, Token);

        Assert.Equal(FakePlatform.Task.ToString(), submitted.TaskId);
        var message = Assert.Single(_platform.Agent.Sent).Message!;
        Assert.Empty(_platform.Blobs);
        Assert.DoesNotContain(Secret, JsonSerializer.Serialize(message, A2AJson.Options), StringComparison.Ordinal);
        var (spec, parts) = Read(message);
        Assert.Equal((draft.JobId, draft.Module, 2, 60, 1_000L), (spec.JobId, spec.Module, spec.UnitCount, spec.MaxUnitDeviceSeconds, spec.CapMicrocredits));
        Assert.All(spec.Assets.Append(spec.Manifest), reference => Assert.Equal(reference.SizeBytes, parts[reference.BlobSha256].Length));

        var manifest = OpenManifest(spec, parts);
        Assert.Equal(Secret, manifest.Parameters.GetProperty("prompt").GetString());
        Assert.Equal(_profile.EncryptionKey.PublicKey, Assert.Single(manifest.OutputRecipientKeys()));
        using var assetKey = OpenGrant(spec, spec.Assets[0].AssetId);
        var files = AssetOpener.OpenBytes(assetKey, spec.Assets[0].AssetId, parts[spec.Assets[0].BlobSha256]);
        Assert.Equal(Secret, Encoding.ASCII.GetString(files["scene.pov"]));
        Assert.Equal(("scene", spec.Assets[0].AssetId), (manifest.Assets[0].MountPath, manifest.Assets[0].AssetId));
    }

    [Fact]
    public async Task A_big_asset_is_uploaded_and_survives_breaks()
    {
        _platform.BrokenUploads = 3;
        var draft = Draft(assetBytes: 9_000_000);
        var stages = new List<SubmitProgress>();

        await _client.Jobs.SubmitAsync(draft, new Collect(stages), Token);

        var (spec, parts) = Read(Assert.Single(_platform.Agent.Sent).Message!);
        Assert.Single(parts);
        var blob = _platform.Blobs[spec.Assets[0].BlobSha256];
        using var key = OpenGrant(spec, spec.Assets[0].AssetId);
        Assert.Equal(9_000_000, AssetOpener.OpenBytes(key, spec.Assets[0].AssetId, blob)["scene.pov"].Length);
        Assert.Contains(stages, stage => stage.Stage == SubmitStage.Uploading && stage.Bytes == stage.TotalBytes);
        Assert.Equal(SubmitStage.Sending, stages[^1].Stage);
    }

    [Fact]
    public async Task An_upload_that_never_gets_through_is_given_up()
    {
        _platform.Statements.Clear();
        _platform.Statements.Add(_platform.Ca.Statement(TestCa.NodeStatement(_platform.Node.PublicKey)));
        using var source = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        using var client = new RenderTrustClient(_profile, new RenderTrustClientOptions { Time = new HastyTime() });
        _platform.BrokenUploads = int.MaxValue;

        // Each try lands half of what is left, so the job is big enough to run out of halves only late; an empty half ends it.
        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => client.Jobs.SubmitAsync(Draft(assetBytes: 2_000_000), null, source.Token));

        Assert.Contains(refusal.Error, new[] { RenderTrustError.UploadFailed, RenderTrustError.ServerFault, RenderTrustError.Busy });
        Assert.Empty(_platform.Agent.Sent);
    }

    [Fact]
    public async Task A_recorded_submission_is_repeated_byte_for_byte()
    {
        var draft = Draft();
        await _client.Jobs.SubmitAsync(draft, null, Token);
        using var other = new RenderTrustClient(_profile);

        await other.Jobs.ResubmitAsync(draft.JobId, Token);

        var first = _platform.Agent.Sent[0].Message!.Parts;
        var second = _platform.Agent.Sent[1].Message!.Parts;
        Assert.Equal(first[0].Data.GetRawText(), second[0].Data.GetRawText());
        Assert.Equal(first.Skip(1).Select(part => part.Raw), second.Skip(1).Select(part => part.Raw));
    }

    [Fact]
    public async Task Records_of_jobs_hold_nothing_readable()
    {
        await _client.Jobs.SubmitAsync(Draft(), null, Token);

        foreach (var file in Directory.EnumerateFiles(_profile.JobsFolder, "*", SearchOption.AllDirectories))
        {
            Assert.DoesNotContain(Secret, Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file, Token)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_refused_submission_says_why()
    {
        _platform.Agent.Refusal = A2AError.InvalidParams("message.parts[0].data", "costs 10 credits, 1 is available.")
            .WithInfo("INSUFFICIENT_CREDITS", "rendertrust.dev");

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft(), null, Token));

        Assert.Equal(RenderTrustError.InsufficientCredits, refusal.Error);
        Assert.Equal(-32602, refusal.RpcCode);
        Assert.Contains("costs 10 credits", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_submission_is_repeated_while_a_part_of_the_platform_is_away()
    {
        using var client = new RenderTrustClient(_profile, new RenderTrustClientOptions { Time = new HastyTime() });
        _platform.Agent.Refusal = A2AError.Internal("A part of the platform is not reachable.").WithInfo("SERVICE_UNAVAILABLE", "rendertrust.dev");

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => client.Jobs.SubmitAsync(Draft(), null, Token));

        Assert.Equal(RenderTrustError.Busy, refusal.Error);
        Assert.Equal(4, _platform.Agent.Sent.Count);
        Assert.Single(_platform.Agent.Sent.Select(sent => sent.Message!.MessageId).Distinct());
    }

    [Fact]
    public async Task Parameters_are_checked_before_anything_is_sent()
    {
        _platform.ParametersSchema = JsonElement.Parse("""{"type":"object","required":["width"],"properties":{"width":{"type":"integer"}}}""");

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft(), null, Token));
        var published = await Assert.ThrowsAsync<RenderTrustException>(() =>
            _client.Jobs.SubmitAsync(Draft() with { Parameters = JsonElement.Parse("""{"width":1}"""), PublicParameters = JsonElement.Parse("{}") }, null, Token));

        Assert.Equal(RenderTrustError.InvalidDraft, refusal.Error);
        Assert.Contains("width", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(RenderTrustError.InvalidDraft, published.Error);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"width":{"$ref":"http://127.0.0.1:1/schema.json"}}}""", "only references within")]
    [InlineData("""{"type":"object","properties":{"width":{"$ref":"file:///etc/passwd"}}}""", "cannot be relied on")]
    [InlineData("""{"type":"object","properties":{"width":{"type":"string","pattern":"^(a+)+$"}}}""", "takes over")]
    [InlineData("""{"type":"object","patternProperties":{"^(a+)+$":{}}}""", "takes over")]
    public async Task A_schema_cannot_make_the_client_fetch_or_match_for_ever(string schema, string said)
    {
        _platform.ParametersSchema = JsonElement.Parse(schema);
        var endless = new string('a', 60) + "!";

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(
            Draft() with { Parameters = JsonElement.Parse($$"""{"width":"{{endless}}","{{endless}}":1}""") }, null, Token));

        Assert.Equal(RenderTrustError.InvalidDraft, refusal.Error);
        Assert.Contains(said, refusal.Message, StringComparison.Ordinal);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Theory]
    [InlineData("unsafe path")]
    [InlineData("no units")]
    [InlineData("array as parameters")]
    public async Task A_draft_that_breaks_a_rule_is_not_sent(string which)
    {
        var draft = which switch
        {
            "unsafe path" => Draft() with { Assets = [new DraftAsset("", [AssetSource.FromBytes("../up", new byte[1])])] },
            "no units" => Draft() with { Units = [] },
            _ => Draft() with { Parameters = JsonElement.Parse("[]") },
        };

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(draft, null, Token));

        Assert.Equal(RenderTrustError.InvalidDraft, refusal.Error);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Fact]
    public async Task Without_nodes_nothing_is_sealed()
    {
        _platform.Statements.Clear();

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft(), null, Token));

        Assert.Equal(RenderTrustError.NoRecipients, refusal.Error);
    }

    [Theory]
    [InlineData("another CA")]
    [InlineData("signed by a node")]
    [InlineData("expired statement")]
    [InlineData("expired certificate")]
    [InlineData("another kind")]
    [InlineData("key id of another key")]
    [InlineData("changed payload")]
    [InlineData("no signature")]
    [InlineData("rubbish")]
    public async Task A_key_statement_that_does_not_verify_stops_the_job(string which)
    {
        using var otherCa = new TestCa();
        using var otherKey = RecipientKeyPair.Generate();
        var good = TestCa.NodeStatement(_platform.Node.PublicKey);
        var signed = _platform.Ca.Statement(good);
        var parts = signed.Split('.');
        var forged = _platform.Ca.Statement(TestCa.NodeStatement(otherKey.PublicKey)).Split('.');
        _platform.Statements.Add(which switch
        {
            "another CA" => otherCa.Statement(good),
            "signed by a node" => _platform.Ca.Statement(good, $"urn:rendertrust:node:{Guid.CreateVersion7()}"),
            "expired statement" => _platform.Ca.Statement(good with { Exp = good.Nbf - 1000 }),
            "expired certificate" => _platform.Ca.Statement(good, certificateUntil: DateTimeOffset.UtcNow.AddHours(-1)),
            "another kind" => _platform.Ca.Statement(good with { Kind = "overflow" }),
            "key id of another key" => _platform.Ca.Statement(good with { KeyId = otherKey.PublicKey.KeyId }),
            "changed payload" => $"{parts[0]}.{forged[1]}.{parts[2]}",
            "no signature" => $"{parts[0]}.{parts[1]}.",
            _ => "rubbish",
        });

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft(), null, Token));

        Assert.Equal(RenderTrustError.Untrusted, refusal.Error);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Fact]
    public async Task Without_opting_in_nothing_is_sealed_for_the_overflow_pool()
    {
        _platform.OverflowStatements.Add(PoolStatement());

        await _client.Jobs.SubmitAsync(Draft(), null, Token);

        var (spec, _) = Read(_platform.Agent.Sent[^1].Message!);
        Assert.False(spec.AllowOverflow);
        string[] node = [_platform.Node.PublicKey.KeyId];
        Assert.Equal(node.Append(_profile.EncryptionKey.PublicKey.KeyId).Order(), spec.Grants.Select(grant => grant.RecipientKeyId).Distinct().Order());
        Assert.DoesNotContain("overflow", _platform.AskedKinds);
    }

    [Fact]
    public async Task Opting_in_seals_the_manifest_and_every_asset_for_the_pool_as_well()
    {
        _platform.OverflowStatements.Add(PoolStatement());

        await _client.Jobs.SubmitAsync(Draft() with { AllowOverflow = true }, null, Token);

        var (spec, parts) = Read(_platform.Agent.Sent[^1].Message!);
        Assert.True(spec.AllowOverflow);
        string[] ids = [_platform.Node.PublicKey.KeyId, _platform.Pool.PublicKey.KeyId];
        Assert.Equal(
            spec.Assets.Append(spec.Manifest).SelectMany(asset => ids.Select(id => (asset.AssetId, id)))
                .Append((spec.Manifest.AssetId, _profile.EncryptionKey.PublicKey.KeyId)).Order(),
            spec.Grants.Select(grant => (grant.AssetId, grant.RecipientKeyId)).Order());
        var grant = spec.Grants.Single(grant => grant.AssetId == spec.Manifest.AssetId && grant.RecipientKeyId == ids[1]);
        using var key = Grants.Open(
            new Grant(grant.AssetId, grant.RecipientKeyId, grant.EncapsulatedKey, grant.WrappedKey), _platform.Pool, new GrantContext(spec.JobId.Value, spec.Manifest.BlobSha256, grant.AssetId));
        Assert.Equal(Secret, Manifests.OpenBytes(key, spec.Manifest.AssetId, parts[spec.Manifest.BlobSha256]).Parameters.GetProperty("prompt").GetString());
    }

    [Theory]
    [InlineData("a node's statement")]
    [InlineData("signed by a node")]
    [InlineData("another CA")]
    public async Task A_pool_whose_statement_does_not_verify_stops_the_job(string which)
    {
        using var otherCa = new TestCa();
        var good = TestCa.NodeStatement(_platform.Pool.PublicKey, "overflow");
        _platform.OverflowStatements.Add(which switch
        {
            "a node's statement" => _platform.Ca.Statement(good with { Kind = "node" }),
            "signed by a node" => _platform.Ca.Statement(good, $"urn:rendertrust:node:{Guid.CreateVersion7()}"),
            _ => otherCa.Statement(good),
        });

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft() with { AllowOverflow = true }, null, Token));

        Assert.Equal(RenderTrustError.Untrusted, refusal.Error);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Fact]
    public async Task Opting_in_where_there_is_no_pool_is_refused_and_not_dropped()
    {
        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft() with { AllowOverflow = true }, null, Token));

        Assert.Equal(RenderTrustError.NoRecipients, refusal.Error);
        Assert.Contains("no overflow pool", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Fact]
    public async Task A_pool_named_as_a_node_needs_the_opt_in_too()
    {
        _platform.OverflowStatements.Add(PoolStatement());
        var pool = await _client.Identity.GetRecipientsAsync("overflow", Token);

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.SubmitAsync(Draft() with { Nodes = pool }, null, Token));

        Assert.Equal(RenderTrustError.InvalidDraft, refusal.Error);
        Assert.Empty(_platform.Agent.Sent);
    }

    [Fact]
    public async Task Watching_goes_on_after_a_break_and_tells_each_unit_once()
    {
        var agent = _platform.Agent;
        var first = Artifact(0);
        var second = Artifact(1);
        agent.Streams.Enqueue([]);
        agent.Streams.Enqueue([StreamResponse.Of(agent.Snapshot()), Status("unitLeased"), StreamResponse.Of(new TaskArtifactUpdateEvent { TaskId = "t", ContextId = "c", Artifact = first })]);
        agent.Streams.Enqueue([]);
        agent.Streams.Enqueue([StreamResponse.Of(agent.Snapshot() with { Artifacts = [first, second] })]);
        var updates = new List<JobUpdate>();

        await foreach (var update in _client.Jobs.SubmitAndWatchAsync(Draft(), null, Token))
        {
            updates.Add(update);
            if (update is { Kind: JobUpdateKind.UnitCompleted, UnitIndex: 1 })
            {
                agent.State = TaskState.Completed;
                agent.Artifacts.AddRange([first, second]);
            }
        }

        Assert.Equal(
            [JobUpdateKind.Snapshot, JobUpdateKind.Status, JobUpdateKind.UnitCompleted, JobUpdateKind.Snapshot, JobUpdateKind.UnitCompleted, JobUpdateKind.Snapshot],
            updates.Select(update => update.Kind));
        Assert.Equal([0, 1], updates.Where(update => update.Kind == JobUpdateKind.UnitCompleted).Select(update => update.UnitIndex));
        Assert.Equal(("unitLeased", "node one", 3), (updates[1].EventKind, updates[1].NodeName, updates[1].UnitIndex));
        Assert.True(updates[^1].IsFinal);
        // The first sending broke before any answer, so it was repeated with the very same message.
        Assert.Equal(2, agent.Sent.Count);
        Assert.Equal(agent.Sent[0].Message!.MessageId, agent.Sent[1].Message!.MessageId);
        Assert.Equal(3, agent.Subscriptions);
    }

    [Fact]
    public async Task Watching_an_ended_job_tells_its_units_and_ends()
    {
        _platform.Agent.State = TaskState.Failed;
        _platform.Agent.Artifacts.Add(Artifact(0));

        var updates = await _client.Jobs.WatchAsync(FakePlatform.Task.ToString(), Token).ToListAsync(Token);

        Assert.Equal([JobUpdateKind.UnitCompleted, JobUpdateKind.Snapshot], updates.Select(update => update.Kind));
        Assert.Equal(TaskState.Failed, updates[^1].State);
    }

    [Fact]
    public async Task Outputs_are_fetched_opened_and_checked_by_another_process()
    {
        _platform.BrokenDownloads = 1;
        var draft = Draft();
        await _client.Jobs.SubmitAsync(draft, null, Token);
        var frame = Encoding.ASCII.GetBytes(new string('f', 200_000));
        _platform.Agent.Artifacts.AddRange([Artifact(0, Output("frame.png", frame)), Artifact(1, Output("frame.png", frame[1..]))]);
        using var other = new RenderTrustClient(_profile);
        var directory = Path.Combine(_folder, "out");

        var fetched = await other.Jobs.FetchAsync(draft.JobId, directory, Token).ToListAsync(Token);

        Assert.Equal([Path.Combine(directory, "frame.png"), Path.Combine(directory, "unit-000001", "frame.png")], fetched.Select(output => output.FileName));
        Assert.Equal(frame, await File.ReadAllBytesAsync(fetched[0].FileName, Token));
        Assert.Equal(2, Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Count());
    }

    [Theory]
    [InlineData("other bytes")]
    [InlineData("other keyed hash")]
    [InlineData("no grant")]
    [InlineData("grant for another job")]
    [InlineData("longer than reported")]
    public async Task An_output_that_is_not_what_was_reported_is_not_written(string which)
    {
        var draft = Draft();
        await _client.Jobs.SubmitAsync(draft, null, Token);
        var output = Output("frame.png", [1, 2, 3], which == "grant for another job" ? JobId.New() : null);
        output = which switch
        {
            "other keyed hash" => output with { KeyedHash = new string('0', 64) },
            "no grant" => output with { Grants = [] },
            _ => output,
        };
        var blob = _platform.Blobs[output.BlobSha256];
        _platform.Blobs[output.BlobSha256] = which switch
        {
            "other bytes" => [.. blob[..^1], (byte)(blob[^1] ^ 1)],
            "longer than reported" => [.. blob, 0],
            _ => blob,
        };
        var directory = Path.Combine(_folder, "out");

        var refusal = await Assert.ThrowsAsync<RenderTrustException>(() => _client.Jobs.FetchUnitAsync(draft.JobId, 0, [output], directory, Token));

        Assert.Equal(RenderTrustError.CorruptedOutput, refusal.Error);
        Assert.Empty(Directory.EnumerateFileSystemEntries(directory));
    }

    [Fact]
    public async Task Cancelling_answers_the_ended_task()
    {
        var task = await _client.Jobs.CancelAsync(FakePlatform.Task.ToString(), Token);

        Assert.Equal(TaskState.Canceled, task.Status.State);
    }

    private static JobDraft Draft(int assetBytes = 0) => new()
    {
        Module = "povray@1.0.0",
        Parameters = JsonElement.Parse($$"""{"prompt":"{{Secret}}"}"""),
        Units = [JsonElement.Parse("""{"frame":1}"""), JsonElement.Parse("""{"frame":2}""")],
        Assets = [new DraftAsset("scene", [AssetSource.FromBytes("scene.pov", assetBytes == 0 ? Encoding.ASCII.GetBytes(Secret) : new byte[assetBytes])])],
        MaxUnitDeviceSeconds = 60,
        CapMicrocredits = 1_000,
    };

    private static (JobSpec Spec, Dictionary<string, byte[]> Parts) Read(Message message)
    {
        Assert.Equal(MediaTypes.JobSpec, message.Parts[0].MediaType);
        Assert.All(message.Parts.Skip(1), part => Assert.Equal(MediaTypes.Sealed, part.MediaType));
        return (
            message.Parts[0].Data.Deserialize<JobSpec>(WireJson.Strict)!,
            message.Parts.Skip(1).ToDictionary(part => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(part.Raw!)), part => part.Raw!));
    }

    private static Artifact Artifact(int unit, params UnitOutput[] outputs) => new()
    {
        ArtifactId = $"unit-{unit:D6}",
        Parts = outputs.Length == 0 ? [Part.FromText("done")] : [.. outputs.Select(output => Part.FromData(output, MediaTypes.Output, WireJson.Options))],
        Metadata = new JsonObject { ["unitIndex"] = unit },
    };

    private static StreamResponse Status(string kind) => StreamResponse.Of(new TaskStatusUpdateEvent
    {
        TaskId = FakePlatform.Task.ToString(),
        ContextId = "context",
        Status = new AgentTaskStatus { State = TaskState.Working },
        Metadata = new JsonObject { [WellKnown.SealingExtension] = new JsonObject { ["kind"] = kind, ["unitIndex"] = 3, ["nodeName"] = "node one" } },
    });

    private string PoolStatement() => _platform.Ca.Statement(TestCa.NodeStatement(_platform.Pool.PublicKey, "overflow"));

    private SetKey OpenGrant(JobSpec spec, Guid assetId)
    {
        var grant = spec.Grants.Single(grant => grant.AssetId == assetId && grant.RecipientKeyId == _platform.Node.PublicKey.KeyId);
        return Grants.Open(
            new Grant(grant.AssetId, grant.RecipientKeyId, grant.EncapsulatedKey, grant.WrappedKey), _platform.Node,
            new GrantContext(spec.JobId.Value, spec.Manifest.BlobSha256, assetId));
    }

    private JobManifest OpenManifest(JobSpec spec, Dictionary<string, byte[]> parts)
    {
        using var key = OpenGrant(spec, spec.Manifest.AssetId);
        return Manifests.OpenBytes(key, spec.Manifest.AssetId, parts[spec.Manifest.BlobSha256]);
    }

    /// <summary>What the node does with a result, for the job that was sent last.</summary>
    private UnitOutput Output(string path, byte[] content, JobId? otherJob = null)
    {
        var (spec, parts) = Read(_platform.Agent.Sent[^1].Message!);
        var manifest = OpenManifest(spec, parts);
        using var key = SetKey.Generate();
        var (asset, bytes) = AssetSealer.SealBytes(key, Guid.CreateVersion7(), [KeyValuePair.Create(path, content)]);
        _platform.Blobs[asset.BlobSha256] = bytes;
        var context = new GrantContext((otherJob ?? spec.JobId).Value, spec.Manifest.BlobSha256, asset.AssetId);
        var grants = manifest.OutputRecipientKeys().Select(recipient => Grants.Seal(key, recipient, context))
            .Select(grant => new AssetGrant(grant.AssetId, grant.RecipientKeyId, grant.EncapsulatedKey, grant.WrappedKey));
        return new UnitOutput(asset.AssetId, asset.BlobSha256, asset.SizeBytes, OutputHash.Compute(manifest.OutputHashKey, path, content), [.. grants]);
    }

    private sealed class Collect(List<SubmitProgress> into) : IProgress<SubmitProgress>
    {
        public void Report(SubmitProgress value) => into.Add(value);
    }

    /// <summary>Real time, but pauses are over at once.</summary>
    private sealed class HastyTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
