using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using RenderTrust.A2A;
using RenderTrust.Client.Http;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;
using RenderTrust.Client.Uploads;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Jobs;

/// <summary>Seals, submits, watches and fetches jobs.</summary>
public sealed class JobsClient
{
    /// <summary>Sealed bytes that travel inside the message; what is over goes by resumable upload first.</summary>
    public const int MaxInlineBytes = 1_048_576;

    private const string Overflow = "overflow";
    private const int MaxGrants = 10_000;
    private const int MaxBreaks = 12;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    private readonly HttpClient _http;
    private readonly CreatorProfile _profile;
    private readonly IdentityClient _identity;
    private readonly ModulesClient _modules;
    private readonly RenderTrustClientOptions _options;
    private readonly TusClient _uploads;
    private readonly OutputFetcher _fetcher;
    private readonly JobRecords _records;
    private readonly ConcurrentDictionary<JobId, JobKeys> _keys = new();
    private volatile A2AClient? _agent;

    internal JobsClient(HttpClient http, CreatorProfile profile, IdentityClient identity, ModulesClient modules, RenderTrustClientOptions options)
    {
        _http = http;
        _profile = profile;
        _identity = identity;
        _modules = modules;
        _options = options;
        _uploads = new TusClient(http, options.Time);
        _fetcher = new OutputFetcher(http, profile.EncryptionKey, options.Time);
        _records = new JobRecords(profile);
    }

    /// <summary>Seals and submits a job; returns when the platform has accepted it.</summary>
    public async Task<SubmittedJob> SubmitAsync(JobDraft draft, IProgress<SubmitProgress>? progress, CancellationToken cancellationToken)
    {
        using var span = ClientActivity.Source.StartActivity("submit job");
        using var job = await SealAsync(draft, progress, cancellationToken);
        var message = await PrepareAsync(job, draft.ContextId, progress, cancellationToken);
        return await SendAsync(job.Spec, message, cancellationToken);
    }

    /// <summary>
    /// Seals and submits a job and follows it to its end. The first update is the accepted task. Breaks are bridged; a cancelled token stops the
    /// watching, never the job.
    /// </summary>
    public async IAsyncEnumerable<JobUpdate> SubmitAndWatchAsync(
        JobDraft draft, IProgress<SubmitProgress>? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var job = await PrepareAsync(draft, progress, cancellationToken);
        await foreach (var update in SendAndWatchAsync(job, cancellationToken))
        {
            yield return update;
        }
    }

    /// <summary>Does all of a submission but the sending: for programs that must send at a given moment.</summary>
    public async Task<PreparedJob> PrepareAsync(JobDraft draft, IProgress<SubmitProgress>? progress, CancellationToken cancellationToken)
    {
        using var job = await SealAsync(draft, progress, cancellationToken);
        return new PreparedJob(job.Spec, await PrepareAsync(job, draft.ContextId, progress, cancellationToken));
    }

    /// <summary>Sends a prepared job and follows it to its end, as <see cref="SubmitAndWatchAsync"/> does.</summary>
    public async IAsyncEnumerable<JobUpdate> SendAndWatchAsync(PreparedJob job, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var agent = await AgentAsync(cancellationToken);
        var updates = new JobUpdates();
        var recorded = false;
        await foreach (var update in FollowAsync(updates, () => agent.SendStreamingMessageAsync(job.Message, cancellationToken), cancellationToken))
        {
            if (!recorded && updates.TaskId is { } taskId)
            {
                recorded = true;
                await RecordTaskAsync(job.Spec.JobId, taskId, cancellationToken);
            }

            yield return update;
        }
    }

    /// <summary>
    /// Sends a recorded submission again, byte for byte: for when its answer was lost. Safe to repeat; the platform knows the job by its id and manifest.
    /// </summary>
    public async Task<SubmittedJob> ResubmitAsync(JobId jobId, CancellationToken cancellationToken)
    {
        var record = await _records.LoadAsync(jobId, cancellationToken);
        var parts = new List<Part>();
        foreach (var sha256 in record.InlineBlobs)
        {
            parts.Add(Part.FromRaw(await _records.LoadBlobAsync(jobId, sha256, cancellationToken), MediaTypes.Sealed));
        }

        return await SendAsync(record.Spec, Message(record.Spec, record.ContextId, parts), cancellationToken);
    }

    /// <summary>Follows a job from its present state to its end, across broken connections.</summary>
    public async IAsyncEnumerable<JobUpdate> WatchAsync(string taskId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var agent = await AgentAsync(cancellationToken);
        await foreach (var update in FollowAsync(new JobUpdates(), () => SubscribeAsync(agent, taskId, cancellationToken), cancellationToken))
        {
            yield return update;
        }
    }

    public Task<AgentTask> GetTaskAsync(string taskId, CancellationToken cancellationToken) =>
        CallAsync(agent => agent.GetTaskAsync(taskId, historyLength: 0, cancellationToken), cancellationToken);

    public Task<AgentTask> CancelAsync(string taskId, CancellationToken cancellationToken) =>
        CallAsync(agent => agent.CancelTaskAsync(taskId, cancellationToken), cancellationToken);

    public Task<JobSummary> GetSummaryAsync(JobId jobId, CancellationToken cancellationToken) =>
        _http.GetAsync<JobSummary>($"/v1/jobs/{jobId}", cancellationToken);

    public Task<JobList> ListAsync(string? cursor, CancellationToken cancellationToken) =>
        _http.GetAsync<JobList>(cursor is null ? "/v1/jobs" : $"/v1/jobs?cursor={Uri.EscapeDataString(cursor)}", cancellationToken);

    /// <summary>What was done for a job, by whom and when, as a tree.</summary>
    public Task<JobTrace> GetTraceAsync(JobId jobId, CancellationToken cancellationToken) => _http.GetAsync<JobTrace>($"/v1/jobs/{jobId}/trace", cancellationToken);

    /// <summary>Adds what this program did to a job's trace: for programs that listen to the activities of <c>RenderTrust.Client</c>.</summary>
    public Task AddSpansAsync(JobId jobId, ClientSpans spans, CancellationToken cancellationToken) => _http.PostAsync($"/v1/jobs/{jobId}/spans", spans, cancellationToken);

    /// <summary>
    /// Fetches all outputs that a job has so far into a folder. Two units that name the same path get folders of their own, <c>unit-000001</c>.
    /// </summary>
    public async IAsyncEnumerable<FetchedOutput> FetchAsync(JobId jobId, string directory, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var keys = await KeysAsync(jobId, cancellationToken);
        var taskId = (await GetSummaryAsync(jobId, cancellationToken)).TaskId.ToString();
        var task = await GetTaskAsync(taskId, cancellationToken);
        var taken = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var artifact in task.Artifacts ?? [])
        {
            var unit = JobUpdates.UnitIndex(artifact) ?? 0;
            foreach (var output in JobUpdates.Outputs(artifact))
            {
                yield return await _fetcher.FetchAsync(
                    keys, unit, output, directory, path => taken.Add(path) ? path : Path.Combine($"unit-{unit:D6}", path), cancellationToken);
            }
        }
    }

    /// <summary>Fetches the outputs of one unit, as an update of kind <see cref="JobUpdateKind.UnitCompleted"/> brings them.</summary>
    /// <param name="jobId">The job, submitted with this profile.</param>
    /// <param name="unitIndex">The unit, for messages and names.</param>
    /// <param name="outputs">From the update.</param>
    /// <param name="directory">Where files go, under the paths that the module gave them.</param>
    /// <param name="cancellationToken">Stops; nothing half-written stays.</param>
    public async Task<IReadOnlyList<FetchedOutput>> FetchUnitAsync(
        JobId jobId, int unitIndex, IReadOnlyList<UnitOutput> outputs, string directory, CancellationToken cancellationToken)
    {
        var keys = await KeysAsync(jobId, cancellationToken);
        var fetched = new List<FetchedOutput>(outputs.Count);
        foreach (var output in outputs)
        {
            fetched.Add(await _fetcher.FetchAsync(keys, unitIndex, output, directory, path => path, cancellationToken));
        }

        return fetched;
    }

    /// <summary>Of a job that this object sealed, or of one that left a record.</summary>
    private async Task<JobKeys> KeysAsync(JobId jobId, CancellationToken cancellationToken) =>
        _keys.TryGetValue(jobId, out var keys) ? keys : await _records.LoadKeysAsync(jobId, cancellationToken);

    private async Task<SealedJob> SealAsync(JobDraft draft, IProgress<SubmitProgress>? progress, CancellationToken cancellationToken)
    {
        using var span = ClientActivity.Source.StartActivity("seal job");
        var module = await _modules.GetAsync(draft.Module, cancellationToken);
        await ParameterRules.CheckAsync(draft, module, cancellationToken);
        var recipients = await RecipientsAsync(draft, cancellationToken);
        var job = await SealedJob.SealAsync(draft, _profile, recipients, _options.SpoolThresholdBytes, progress, cancellationToken);
        _keys[draft.JobId] = job.Keys;
        return job;
    }

    /// <summary>
    /// Who can open the job: nodes, and the platform's overflow pool only if the draft opts in. Without that grant nothing the platform does makes
    /// an overflow agent able to open it.
    /// </summary>
    private async Task<IReadOnlyList<VerifiedRecipient>> RecipientsAsync(JobDraft draft, CancellationToken cancellationToken)
    {
        var nodes = draft.Nodes ?? await _identity.GetRecipientsAsync("node", cancellationToken);
        if (nodes.Count == 0)
        {
            throw new RenderTrustException(
                RenderTrustError.NoRecipients, "No node is enrolled that this job could be sealed for. Enrol one first: rendertrust node token.");
        }

        if (!draft.AllowOverflow && nodes.FirstOrDefault(node => node.Statement.Kind == Overflow) is { } pool)
        {
            throw new RenderTrustException(
                RenderTrustError.InvalidDraft, $"Nodes names the overflow pool '{pool.Statement.Name}', and the draft does not allow overflow. Set AllowOverflow, or leave the pool out.");
        }

        IReadOnlyList<VerifiedRecipient> pools = draft.AllowOverflow ? await _identity.GetRecipientsAsync(Overflow, cancellationToken) : [];
        if (draft.AllowOverflow && pools.Count == 0)
        {
            throw new RenderTrustException(
                RenderTrustError.NoRecipients, "The draft allows overflow, and this platform has no overflow pool. Submit without it, or ask the operator to switch overflow on.");
        }

        // A job carries no more grants than this, and one is the creator's own. The pool goes first, then the list, which begins with the creator's own nodes.
        return [.. pools.Concat(nodes).DistinctBy(recipient => recipient.Key.KeyId).Take((MaxGrants - 1) / (draft.Assets.Count + 1))];
    }

    /// <summary>Uploads what is too big, records the job, and makes the message. After this a repeat needs nothing but the record.</summary>
    private async Task<SendMessageRequest> PrepareAsync(
        SealedJob job, string? contextId, IProgress<SubmitProgress>? progress, CancellationToken cancellationToken)
    {
        var inline = new List<SealedBlob>();
        var inlineBytes = 0L;
        // The smallest travel inline, so that as few as possible need an upload of their own.
        foreach (var blob in job.Blobs.OrderBy(blob => blob.Reference.SizeBytes))
        {
            if (inlineBytes + blob.Reference.SizeBytes > MaxInlineBytes)
            {
                break;
            }

            inlineBytes += blob.Reference.SizeBytes;
            inline.Add(blob);
        }

        var uploads = job.Blobs.Except(inline).ToList();
        for (var i = 0; i < uploads.Count; i++)
        {
            var (index, size) = (i, uploads[i].Reference.SizeBytes);
            var bytes = progress is null
                ? null
                : new SyncProgress<long>(done => progress.Report(new SubmitProgress(SubmitStage.Uploading, index, uploads.Count, done, size)));
            using var span = ClientActivity.Source.StartActivity("upload asset");
            span?.SetTag("rendertrust.bytes", size);
            await _uploads.UploadAsync(uploads[i].Reference.BlobSha256, uploads[i].Bytes, bytes, cancellationToken);
        }

        var parts = inline.ConvertAll(blob => (Sha256: blob.Reference.BlobSha256, Bytes: blob.Bytes.ToArray()));
        if (_options.KeepJobRecords)
        {
            var manifest = job.Blobs[0];
            var kept = inline.Contains(manifest) ? parts : [.. parts, (manifest.Reference.BlobSha256, manifest.Bytes.ToArray())];
            var record = new JobRecord(job.Spec, job.OwnGrant, contextId, [.. parts.Select(part => part.Sha256)], TaskId: null);
            await _records.SaveAsync(record, kept, cancellationToken);
        }

        progress?.Report(new SubmitProgress(SubmitStage.Sending, 0, 0, 0, 0));
        return Message(job.Spec, contextId, parts.ConvertAll(part => Part.FromRaw(part.Bytes, MediaTypes.Sealed)));
    }

    private static SendMessageRequest Message(JobSpec spec, string? contextId, IReadOnlyList<Part> sealedParts) => new()
    {
        Message = new Message
        {
            MessageId = Guid.CreateVersion7().ToString("D"),
            ContextId = contextId,
            Role = Role.User,
            Parts = [Part.FromData(spec, MediaTypes.JobSpec, WireJson.Options), .. sealedParts],
            Extensions = [WellKnown.SealingExtension],
        },
        Configuration = new SendMessageConfiguration { ReturnImmediately = true, AcceptedOutputModes = [MediaTypes.Output] },
    };

    private async Task<SubmittedJob> SendAsync(JobSpec spec, SendMessageRequest message, CancellationToken cancellationToken)
    {
        using var span = ClientActivity.Source.StartActivity("send job");
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var answer = await CallAsync(agent => agent.SendMessageAsync(message, cancellationToken), cancellationToken);
                var task = answer.Task ?? throw new RenderTrustException(RenderTrustError.ServerFault, "The platform answered the submission with a message and not with a task.");
                await RecordTaskAsync(spec.JobId, task.Id, cancellationToken);
                return new SubmittedJob(spec.JobId, task.Id, task.ContextId ?? "", spec.Manifest.BlobSha256, spec.UnitCount);
            }
            catch (RenderTrustException exception) when (exception.Error is RenderTrustError.Unreachable or RenderTrustError.Busy && attempt < 4)
            {
                // The same bytes again: if the first call got through, the platform answers with the same task.
                await Task.Delay(FirstPause * Math.Pow(2, attempt - 1), _options.Time, cancellationToken);
            }
        }
    }

    private async Task RecordTaskAsync(JobId jobId, string taskId, CancellationToken cancellationToken)
    {
        if (_options.KeepJobRecords)
        {
            var record = await _records.LoadAsync(jobId, cancellationToken);
            await _records.SaveAsync(record with { TaskId = taskId }, [], cancellationToken);
        }
    }

    /// <summary>
    /// Reads a stream to the job's end. A stream that breaks or just stops is taken up again by subscribing; the snapshot then carries what was
    /// missed. Before the task is known the opening call is repeated, which is safe because submissions are idempotent.
    /// </summary>
    private async IAsyncEnumerable<JobUpdate> FollowAsync(
        JobUpdates updates, Func<IAsyncEnumerable<StreamResponse>> open, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var agent = await AgentAsync(cancellationToken);
        var breaks = 0;
        while (true)
        {
            var source = updates.TaskId is { } known ? SubscribeAsync(agent, known, cancellationToken) : open();
            Exception? broken = null;
            await using (var events = source.GetAsyncEnumerator(cancellationToken))
            {
                while (true)
                {
                    try
                    {
                        if (!await events.MoveNextAsync())
                        {
                            break;
                        }
                    }
                    catch (Exception exception) when (IsBreak(exception, updates.TaskId is not null, cancellationToken))
                    {
                        broken = exception;
                        break;
                    }
                    catch (A2AErrorException exception)
                    {
                        throw Answers.Refusal(exception);
                    }
                    catch (A2AHttpException exception)
                    {
                        throw Answers.Refusal(exception);
                    }

                    breaks = 0;
                    foreach (var update in updates.Read(events.Current))
                    {
                        yield return update;
                        if (update.IsFinal)
                        {
                            yield break;
                        }
                    }
                }
            }

            if (++breaks > MaxBreaks)
            {
                throw broken switch
                {
                    A2AErrorException refusal => Answers.Refusal(refusal),
                    A2AHttpException answer => Answers.Refusal(answer),
                    RenderTrustException unreachable => unreachable,
                    null => new RenderTrustException(
                        RenderTrustError.Unreachable, $"The stream of task {updates.TaskId} ended {MaxBreaks} times without news. The job goes on; watch it again later."),
                    _ => Answers.Unreachable(_http.BaseAddress, broken),
                };
            }

            var pause = FirstPause * Math.Pow(2, breaks - 1);
            await Task.Delay(pause < LongestPause ? pause : LongestPause, _options.Time, cancellationToken);
        }
    }

    /// <summary>Subscribes; a job that has ended has no stream any more, but its snapshot says everything.</summary>
    private static async IAsyncEnumerable<StreamResponse> SubscribeAsync(
        A2AClient agent, string taskId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var events = agent.SubscribeToTaskAsync(taskId, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var ended = false;
        while (!ended)
        {
            try
            {
                if (!await events.MoveNextAsync())
                {
                    yield break;
                }
            }
            catch (A2AErrorException exception) when (exception.Error.Code == A2AErrorCodes.UnsupportedOperation)
            {
                ended = true;
                continue;
            }

            yield return events.Current;
        }

        yield return StreamResponse.Of(await agent.GetTaskAsync(taskId, historyLength: 0, cancellationToken));
    }

    private static bool IsBreak(Exception exception, bool taskKnown, CancellationToken cancellationToken) => exception switch
    {
        // A server that stops or stumbles ends its streams with an error; the task goes on elsewhere.
        A2AErrorException refusal => Answers.IsPassing(refusal.Error) || (taskKnown && refusal.Error.Code == A2AErrorCodes.InternalError),
        OperationCanceledException => !cancellationToken.IsCancellationRequested,
        HttpRequestException or IOException => true,
        RenderTrustException refusal => refusal.Error is RenderTrustError.Unreachable or RenderTrustError.Busy,
        A2AHttpException answer => (int)answer.Status is 429 or 502 or 503 or 504,
        _ => false,
    };

    private async Task<T> CallAsync<T>(Func<A2AClient, Task<T>> call, CancellationToken cancellationToken)
    {
        var agent = await AgentAsync(cancellationToken);
        try
        {
            return await call(agent);
        }
        catch (A2AErrorException exception)
        {
            throw Answers.Refusal(exception);
        }
        catch (A2AHttpException exception)
        {
            throw Answers.Refusal(exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw Answers.Unreachable(_http.BaseAddress, exception);
        }
    }

    private async Task<A2AClient> AgentAsync(CancellationToken cancellationToken)
    {
        if (_agent is { } known)
        {
            return known;
        }

        var gateway = _profile.Facts.GatewayUrl;
        try
        {
            var card = await A2AClient.GetAgentCardAsync(_http, gateway, cancellationToken);
            var offered = card.SupportedInterfaces.FirstOrDefault(i => i.ProtocolBinding == "JSONRPC" && i.ProtocolVersion.StartsWith("1.", StringComparison.Ordinal))
                ?? throw new RenderTrustException(RenderTrustError.Refused, $"{gateway} offers no A2A 1.x over JSON-RPC. Update this client.");
            // The path is the card's, the origin is the profile's: a card cannot send tokens elsewhere.
            return _agent = new A2AClient(_http, new Uri(gateway, new Uri(gateway, offered.Url).PathAndQuery)) { Extensions = [WellKnown.SealingExtension] };
        }
        catch (A2AHttpException exception)
        {
            throw Answers.Refusal(exception);
        }
        catch (HttpRequestException exception)
        {
            throw Answers.Unreachable(gateway, exception);
        }
    }

    /// <summary>Reports at once and in order; Progress of the framework posts to other threads.</summary>
    private sealed class SyncProgress<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }
}
