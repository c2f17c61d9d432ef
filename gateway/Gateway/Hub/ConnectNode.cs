using System.Net;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.Gateway.A2A;
using RenderTrust.Gateway.Blobs;
using RenderTrust.ServiceDefaults;
using RenderTrust.Telemetry;

namespace RenderTrust.Gateway.Hub;

/// <summary>
/// The stream of one node, from hello to its end. Results are handed to the scheduler and acknowledged only with its answer, so a frame
/// that is lost anywhere on the way is sent again by the agent.
/// </summary>
internal sealed partial class ConnectNode(
    HubCertificates certificates, NodeSessions sessions, NodeReports reports, Revocations revocations, AppInvoker invoker, IBlobStore blobs,
    IOptions<HubOptions> options, TimeProvider time, ILogger<ConnectNode> logger) : EdgeProtocol.Hub.HubBase
{
    private const int LongestText = 2_000;
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(10);

    public override async Task Connect(IAsyncStreamReader<NodeFrame> requestStream, IServerStreamWriter<HubFrame> responseStream, ServerCallContext context)
    {
        var node = await IdentifyAsync(context);
        var hello = await ReadHelloAsync(requestStream, context.CancellationToken);
        var session = new NodeSession(node, options.Value.OutgoingFrames);
        using var lifetime = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, session.Ended);
        var opened = await OpenAsync(node, hello, context.CancellationToken);
        Failpoint.Hit("gateway.session.afterOpen");
        session.Epoch = opened.Epoch;
        session.Slots = hello.Capabilities.Slots;
        session.Resume(opened.Live);
        var welcome = new Welcome { Epoch = opened.Epoch, HeartbeatIntervalMs = (int)(options.Value.HeartbeatSeconds * 1000) };
        welcome.LiveAttemptIds.AddRange(opened.LiveAttempts.Select(attempt => attempt.ToString()));

        // Before the session can be found: the welcome is the first frame, and an offer might come at once.
        session.TrySend(new HubFrame { Welcome = welcome });
        sessions.Add(session);
        LogOpened(logger, node.NodeId, opened.Epoch);
        var writing = WriteAsync(session, responseStream, lifetime.Token);
        var delivering = DeliverResultsAsync(session, lifetime.Token);
        try
        {
            // Again, now that the session can be found: a revocation that came in between has ended nobody's stream.
            if (await IsRevokedAsync(node, lifetime.Token))
            {
                session.End("The node has been revoked.");
            }

            await ReadAsync(session, requestStream, lifetime.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            // The connection broke or the hub ended the stream; the node comes back by itself.
        }
        finally
        {
            sessions.Remove(session);
            session.End("The stream was closed.");
            await writing;
            await delivering;
            await CloseAsync(session);
            session.Dispose();
            LogClosed(logger, node.NodeId, session.Epoch, session.EndReason ?? "");
        }

        if (session.EndReason is { } reason && !context.CancellationToken.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.Aborted, reason));
        }
    }

    private static RpcException Refuse(StatusCode code, string message) => new(new Status(code, message));

    private static bool TryAttempt(string text, out AttemptId attempt) => AttemptId.TryParse(text, null, out attempt);

    private async Task<NodeIdentity> IdentifyAsync(ServerCallContext context)
    {
        var http = context.GetHttpContext();
        X509Certificate2? certificate = http.Connection.ClientCertificate;
        if (!certificates.TryIdentify(certificate, out var node))
        {
            throw Refuse(StatusCode.Unauthenticated, "The client certificate is not one of a node of this platform. Enrol the node again with a new one-time token.");
        }

        if (await IsRevokedAsync(node, context.CancellationToken))
        {
            throw Refuse(StatusCode.PermissionDenied, $"Node {node.NodeId} is revoked. Ask its owner; a new enrolment gives it a new identity.");
        }

        return node;
    }

    private async Task<bool> IsRevokedAsync(NodeIdentity node, CancellationToken cancellationToken)
    {
        try
        {
            return (await revocations.GetAsync(cancellationToken)).Nodes.Contains(node.NodeId);
        }
        catch (IdentityUnavailableException)
        {
            throw Refuse(StatusCode.Unavailable, "Whether the node is revoked cannot be told at the moment. Try again shortly.");
        }
    }

    private async Task<Hello> ReadHelloAsync(IAsyncStreamReader<NodeFrame> frames, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(HelloLimit);
        try
        {
            if (!await frames.MoveNext(limit.Token) || frames.Current.FrameCase != NodeFrame.FrameOneofCase.Hello || frames.Current.Hello.Capabilities is null)
            {
                throw Refuse(StatusCode.InvalidArgument, "The first frame of a stream is hello with the node's capabilities.");
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Refuse(StatusCode.DeadlineExceeded, "No hello came within 10 s of the connection.");
        }

        return frames.Current.Hello;
    }

    private async Task<OpenNodeSessionResponse> OpenAsync(NodeIdentity node, Hello hello, CancellationToken cancellationToken)
    {
        var said = hello.Capabilities;
        if (said.Slots is < 1 or > 1024 || said.CpuCount < 1 || said.MemoryBytes < 0 || said.ScratchBytes < 0 || said.Runner.Length is 0 or > 40)
        {
            throw Refuse(StatusCode.InvalidArgument, $"The capabilities are not plausible: slots {said.Slots} (1 to 1024), cpu_count {said.CpuCount} (at least 1), runner '{said.Runner}'.");
        }

        var running = hello.RunningAttemptIds.Select(text => TryAttempt(text, out var attempt)
            ? attempt
            : throw Refuse(StatusCode.InvalidArgument, $"running_attempt_ids holds '{text}', which is no UUID.")).ToList();
        var capabilities = new NodeCapabilities(
            said.Gpu ? DeviceKind.Gpu : DeviceKind.Cpu, said.Slots, said.CpuCount, said.MemoryBytes, said.ScratchBytes,
            said.Runner, said.EngineRootless, said.LimitsEnforced, said.AgentVersion);
        try
        {
            return await invoker.PostAsync<OpenNodeSessionRequest, OpenNodeSessionResponse>(
                Apps.Scheduler, "/internal/node-sessions",
                new OpenNodeSessionRequest(node.NodeId, node.OwnerTenantId, node.Name, node.RecipientKeyId, options.Value.AppId, capabilities, running), cancellationToken);
        }
        catch (Exception exception) when (exception is UnknownOutcomeException or AppUnavailableException or AppCallException)
        {
            LogOpenFailed(logger, exception, node.NodeId);
            throw Refuse(StatusCode.Unavailable, "The scheduler cannot open a session at the moment. Try again shortly.");
        }
    }

    private async Task ReadAsync(NodeSession session, IAsyncStreamReader<NodeFrame> frames, CancellationToken cancellationToken)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var limit = TimeSpan.FromSeconds(options.Value.SilenceSeconds);
        silence.CancelAfter(limit);
        try
        {
            while (await frames.MoveNext(silence.Token))
            {
                silence.CancelAfter(limit);
                Handle(session, frames.Current, time.GetUtcNow());
            }
        }
        catch (OperationCanceledException) when (silence.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            session.End($"Nothing was heard for {limit.TotalSeconds:0} s.");
        }
    }

    private void Handle(NodeSession session, NodeFrame frame, DateTimeOffset receivedAt)
    {
        switch (frame.FrameCase)
        {
            case NodeFrame.FrameOneofCase.Heartbeat:
                if (frame.Heartbeat.Epoch == session.Epoch)
                {
                    reports.Heartbeat(new NodeHeartbeat(session.Node.NodeId, session.Epoch, receivedAt, frame.Heartbeat.LastRoundTripMs, frame.Heartbeat.BusySlots));
                }

                session.TrySend(new HubFrame { HeartbeatEcho = new HeartbeatEcho { SentUnixMs = frame.Heartbeat.SentUnixMs } });
                break;
            case NodeFrame.FrameOneofCase.LeaseAck when TryAttempt(frame.LeaseAck.AttemptId, out var acknowledged):
                session.Acknowledge(acknowledged, frame.LeaseAck);
                break;
            case NodeFrame.FrameOneofCase.Progress when TryAttempt(frame.Progress.AttemptId, out var progressing):
                reports.Progress(new UnitProgressReport(
                    session.Node.NodeId, session.Epoch, progressing, frame.Progress.FencingToken, Math.Clamp(double.IsNaN(frame.Progress.Fraction) ? 0 : frame.Progress.Fraction, 0, 1)),
                    session.Slots);
                break;
            case NodeFrame.FrameOneofCase.Result when TryAttempt(frame.Result.AttemptId, out var finished):
                if (!session.TryTakeResult(new ArrivedResult(finished, frame.Result, receivedAt)))
                {
                    LogResultLeft(logger, session.Node.NodeId, finished);
                }

                break;
            case NodeFrame.FrameOneofCase.RevokeAck when TryAttempt(frame.RevokeAck.AttemptId, out var stopped):
                session.ConfirmStopped(stopped);
                break;
            default:
                throw Refuse(StatusCode.InvalidArgument, $"The frame '{frame.FrameCase}' is not expected here or names no valid attempt.");
        }
    }

    /// <summary>One after the other and in the order of the stream, as the agent's outbox sends them.</summary>
    private async Task DeliverResultsAsync(NodeSession session, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var (attempt, result, receivedAt) in session.Results.ReadAllAsync(cancellationToken))
            {
                await ReportResultAsync(session, attempt, result, receivedAt, cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            // The stream has ended: what was not acknowledged comes again on the next one.
        }
        catch (Exception exception)
        {
            // A stream that takes results and hands none on would be worse than none.
            LogDeliveryFailed(logger, exception, session.Node.NodeId);
            session.End("The hub could not hand on a result; send it again.");
        }
    }

    private async Task ReportResultAsync(NodeSession session, AttemptId attempt, UnitResult result, DateTimeOffset receivedAt, CancellationToken cancellationToken)
    {
        var trace = session.TraceOf(attempt);
        using var span = HubTraces.BeginResult(trace, result, receivedAt);

        // Repeating what cannot be understood would never end, so it is settled as a failure of the node.
        var understood = TryOutputs(result, out var outputs);
        var fault = !understood ? "The node reported an output whose asset id, hash, size or grant has not the right form."
            : result.Succeeded ? await MissingAsync(session, attempt, outputs, cancellationToken)
            : null;
        var succeeded = result.Succeeded && fault is null;
        var report = new UnitResultReport(
            session.Node.NodeId, session.Epoch, attempt, result.FencingToken, succeeded, Math.Max(0, result.MeteredMilliseconds), fault is null ? outputs : [],
            succeeded ? null : fault is null ? Shorten(result.FailureClass) : "internal",
            succeeded ? null : fault ?? Shorten(result.FailureReason),
            receivedAt, HubTraces.Checked(result, trace));
        span?.SetTag("error.type", report.FailureClass);
        try
        {
            Failpoint.Hit("gateway.result.beforePost");
            var answer = await PostResultAsync(session, report, cancellationToken);
            Failpoint.Hit("gateway.result.afterPost");
            var outcome = answer.Outcome.ToString();
            span?.SetTag(TelemetryNames.Outcome, outcome);
            session.Settled(attempt);
            session.TrySend(new HubFrame
            {
                ResultAck = new ResultAck { AttemptId = attempt.ToString(), FencingToken = result.FencingToken, Outcome = char.ToLowerInvariant(outcome[0]) + outcome[1..] },
            });
            LogResult(logger, session.Node.NodeId, attempt, outcome);
        }
        catch (Exception exception) when (exception is UnknownOutcomeException or AppUnavailableException or AppCallException)
        {
            // Unknown is not failure: without an acknowledgement the agent keeps the result and sends it again.
            LogResultNotDelivered(logger, exception, session.Node.NodeId, attempt);
        }
    }

    private async Task<UnitResultResponse> PostResultAsync(NodeSession session, UnitResultReport report, CancellationToken cancellationToken)
    {
        try
        {
            return await invoker.PostAsync<UnitResultReport, UnitResultResponse>(Apps.Scheduler, "/internal/results", report, cancellationToken);
        }
        catch (AppCallException exception) when (exception.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity)
        {
            // It would be refused each time it comes again. As a failure without what the node said it can be settled; if that is refused too, the lease runs out.
            LogResultRefused(logger, exception, session.Node.NodeId, report.AttemptId);
            var failure = report with
            {
                Succeeded = false, Outputs = [], MeteredMilliseconds = 0, FailureClass = "internal",
                FailureReason = $"The scheduler refused the result as the node reported it ({(int)exception.StatusCode}).",
            };
            return await invoker.PostAsync<UnitResultReport, UnitResultResponse>(Apps.Scheduler, "/internal/results", failure, cancellationToken);
        }
    }

    /// <summary>
    /// The creator pays for outputs that can be fetched, not for a node's word. An attempt that nobody leased to the node, or that is settled, is
    /// refused by the scheduler anyway; what is said of it here must not be success all the same.
    /// </summary>
    private async Task<string?> MissingAsync(NodeSession session, AttemptId attempt, IReadOnlyList<UnitOutput> outputs, CancellationToken cancellationToken)
    {
        if (session.CreatorOf(attempt) is not { } creator)
        {
            return session.KnowsEarlierAttempts && outputs.Count > 0 ? "The attempt is not leased to this node, so its outputs cannot be looked for." : null;
        }

        foreach (var output in outputs)
        {
            if (!await blobs.ExistsAsync(creator, output.BlobSha256, cancellationToken))
            {
                LogOutputMissing(logger, session.Node.NodeId, attempt, output.BlobSha256);
                return $"output blob not uploaded ({output.BlobSha256})";
            }
        }

        return null;
    }

    private static bool TryOutputs(UnitResult result, out IReadOnlyList<UnitOutput> outputs)
    {
        var made = new List<UnitOutput>(result.Outputs.Count);
        outputs = made;
        foreach (var output in result.Outputs)
        {
            if (!Guid.TryParseExact(output.AssetId, "D", out var assetId) || !IsSha256(output.BlobSha256) || !IsSha256(output.KeyedHash) || output.SizeBytes <= 0)
            {
                return false;
            }

            var grants = new List<AssetGrant>(output.Grants.Count);
            foreach (var grant in output.Grants)
            {
                if (!Guid.TryParseExact(grant.AssetId, "D", out var granted) || granted != assetId || !JobMessage.IsKeyId(grant.RecipientKeyId))
                {
                    return false;
                }

                grants.Add(new AssetGrant(granted, grant.RecipientKeyId, grant.EncapsulatedKey.ToByteArray(), grant.WrappedKey.ToByteArray()));
            }

            made.Add(new UnitOutput(assetId, output.BlobSha256, output.SizeBytes, output.KeyedHash, grants));
        }

        return true;
    }

    private static bool IsSha256(string text) => text.Length == 64 && text.All(letter => letter is >= '0' and <= '9' or >= 'a' and <= 'f');

    /// <summary>What a node says in words, fit to be stored and shown: bounded, and without U+0000, which Postgres refuses each time it is sent again.</summary>
    internal static string Shorten(string text) => (text.Length > LongestText ? text[..LongestText] : text).Replace('\0', '?');

    private static async Task WriteAsync(NodeSession session, IServerStreamWriter<HubFrame> frames, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var frame in session.Outgoing.ReadAllAsync(cancellationToken))
            {
                await frames.WriteAsync(frame, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or InvalidOperationException or RpcException)
        {
            session.End("The connection to the node broke.");
        }
    }

    private async Task CloseAsync(NodeSession session)
    {
        // Not the call's token: it is cancelled already, and the scheduler should hear of the end at once rather than by silence.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await invoker.PostAsync(Apps.Scheduler, "/internal/node-sessions/closed", new CloseNodeSessionRequest(session.Node.NodeId, session.Epoch), limit.Token);
        }
        catch (Exception exception) when (exception is UnknownOutcomeException or AppUnavailableException or AppCallException or OperationCanceledException)
        {
            LogCloseNotDelivered(logger, session.Node.NodeId, session.Epoch, exception.Message);
        }
    }

    [LoggerMessage(LogLevel.Information, "Node {NodeId}: session {Epoch} opened")]
    private static partial void LogOpened(ILogger logger, NodeId nodeId, long epoch);

    [LoggerMessage(LogLevel.Information, "Node {NodeId}: session {Epoch} ended: {Reason}")]
    private static partial void LogClosed(ILogger logger, NodeId nodeId, long epoch, string reason);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId}: the scheduler opened no session")]
    private static partial void LogOpenFailed(ILogger logger, Exception exception, NodeId nodeId);

    [LoggerMessage(LogLevel.Information, "Node {NodeId}: result of attempt {AttemptId}: {Outcome}")]
    private static partial void LogResult(ILogger logger, NodeId nodeId, AttemptId attemptId, string outcome);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId}: the result of attempt {AttemptId} has not reached the scheduler; the agent keeps it")]
    private static partial void LogResultNotDelivered(ILogger logger, Exception exception, NodeId nodeId, AttemptId attemptId);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId} reported success of attempt {AttemptId} without having uploaded output {Sha256}; it counts as a failure")]
    private static partial void LogOutputMissing(ILogger logger, NodeId nodeId, AttemptId attemptId, string sha256);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId}: the scheduler refused the result of attempt {AttemptId} for good; it is reported as a failure")]
    private static partial void LogResultRefused(ILogger logger, Exception exception, NodeId nodeId, AttemptId attemptId);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId}: too many results wait; the one of attempt {AttemptId} is left to be sent again")]
    private static partial void LogResultLeft(ILogger logger, NodeId nodeId, AttemptId attemptId);

    [LoggerMessage(LogLevel.Error, "Node {NodeId}: handing on results failed")]
    private static partial void LogDeliveryFailed(ILogger logger, Exception exception, NodeId nodeId);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId}: the scheduler was not told of the end of session {Epoch} ({Cause}); it will notice by silence")]
    private static partial void LogCloseNotDelivered(ILogger logger, NodeId nodeId, long epoch, string cause);
}
