using Google.Protobuf;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.EdgeProtocol;
using RenderTrust.Gateway.Blobs;
using RenderTrust.ServiceDefaults;
using RenderTrust.Telemetry;

namespace RenderTrust.Gateway.Hub;

/// <summary>Carries a lease to its node and waits for the acknowledgement: the end of the dispatch budget.</summary>
internal static class OfferLease
{
    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapPost("/internal/hub/leases", HandleAsync).RequireInternal(Apps.Scheduler, Apps.Placer);
        api.MapPost("/internal/hub/revocations", RevokeAsync).RequireInternal(Apps.Scheduler);
    }

    private static async Task<LeaseOfferResponse> HandleAsync(
        Contracts.LeaseOffer offer, NodeSessions sessions, LeaseTokens tokens, IOptions<HubOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (sessions.Find(offer.NodeId) is not { } session)
        {
            return new LeaseOfferResponse(LeaseOfferOutcome.NoSession, 0, "The node has no stream at this hub.");
        }

        if (session.Epoch != offer.Epoch)
        {
            return new LeaseOfferResponse(LeaseOfferOutcome.StaleEpoch, 0, $"The node's session is {session.Epoch}, the offer is for {offer.Epoch}.");
        }

        using var span = HubTraces.BeginOffer(offer);

        // Before it is sent: the result may overtake the acknowledgement.
        session.Leased(offer.AttemptId, offer.TenantId, HubTraces.Of(span));
        Failpoint.Hit("gateway.offer.beforeSend");
        var started = time.GetTimestamp();
        var (sent, ack) = await session.OfferAsync(
            offer.AttemptId, offer.FencingToken, new HubFrame { Offer = ToFrame(offer, tokens, span?.Id) }, TimeSpan.FromSeconds(options.Value.AcknowledgeSeconds), time, cancellationToken);
        Failpoint.Hit("gateway.offer.afterAcknowledgement");
        var roundTripMs = time.GetElapsedTime(started).TotalMilliseconds;
        span?.SetTag(TelemetryNames.Outcome, ack is null ? "NotAcknowledged" : ack.Accepted ? "Acknowledged" : "Refused");
        if (!sent)
        {
            return new LeaseOfferResponse(LeaseOfferOutcome.NoSession, 0, "The node's stream ended before the offer was sent.");
        }

        if (ack is { Accepted: false })
        {
            session.Settled(offer.AttemptId);
        }

        return ack switch
        {
            null => new LeaseOfferResponse(LeaseOfferOutcome.NotAcknowledged, roundTripMs, "The node did not answer; whether it started is unknown."),
            { Accepted: true } => new LeaseOfferResponse(LeaseOfferOutcome.Acknowledged, roundTripMs, null),
            _ => new LeaseOfferResponse(LeaseOfferOutcome.Refused, roundTripMs, ConnectNode.Shorten(ack.Reason)),
        };
    }

    /// <summary>Delivered means confirmed by the node: with it the scheduler leases the slot anew, so a frame that is only on its way does not count.</summary>
    private static async Task<LeaseRevocationResponse> RevokeAsync(
        LeaseRevocation revocation, NodeSessions sessions, IOptions<HubOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        // An older epoch's session may hold the container still; the token says which attempt is meant, so any session will do.
        if (sessions.Find(revocation.NodeId) is not { } session)
        {
            return new LeaseRevocationResponse(false);
        }

        var frame = new HubFrame
        {
            Revoke = new LeaseRevoke { AttemptId = revocation.AttemptId.ToString(), FencingToken = revocation.FencingToken, Reason = revocation.Reason },
        };
        return new LeaseRevocationResponse(
            await session.RevokeAsync(revocation.AttemptId, frame, TimeSpan.FromSeconds(options.Value.AcknowledgeSeconds), time, cancellationToken));
    }

    private static EdgeProtocol.LeaseOffer ToFrame(Contracts.LeaseOffer offer, LeaseTokens tokens, string? traceParent)
    {
        var readable = offer.Assets.Select(asset => asset.BlobSha256).Append(offer.Manifest.BlobSha256).ToList();
        var runtime = offer.Runtime;
        var frame = new EdgeProtocol.LeaseOffer
        {
            AttemptId = offer.AttemptId.ToString(),
            FencingToken = offer.FencingToken,
            Slot = offer.Slot,
            JobId = offer.JobId.ToString(),
            UnitIndex = offer.UnitIndex,
            UnitCount = offer.UnitCount,
            AttemptNumber = offer.AttemptNumber,
            Module = offer.Module,
            Runtime = new Runtime
            {
                ImageReference = runtime.ImageReference,
                ImageDigest = runtime.ImageDigest,
                Gpu = runtime.DeviceKind == DeviceKind.Gpu,
                MemoryMebibytes = runtime.MemoryMebibytes,
                ScratchMebibytes = runtime.ScratchMebibytes,
                OutputMebibytes = runtime.OutputMebibytes,
                MaxProcesses = runtime.MaxProcesses,
                CpuCount = runtime.CpuCount,
                RootfsUrl = runtime.Rootfs?.Url ?? "",
                RootfsSha256 = runtime.Rootfs?.Sha256 ?? "",
            },
            Manifest = ToFrame(offer.Manifest),
            MaxUnitDeviceSeconds = offer.MaxUnitDeviceSeconds,
            TraceParent = traceParent ?? "",
            LeaseExpiresUnixMs = offer.LeaseExpiresAt.ToUnixTimeMilliseconds(),
            BlobToken = tokens.Issue(new LeaseBlobClaims(offer.NodeId, offer.AttemptId, offer.FencingToken, offer.TenantId, readable, offer.LeaseExpiresAt)),
        };
        frame.Assets.AddRange(offer.Assets.Select(ToFrame));
        frame.Grants.AddRange(offer.Grants.Select(grant => new Grant
        {
            AssetId = grant.AssetId.ToString("D"),
            RecipientKeyId = grant.RecipientKeyId,
            EncapsulatedKey = ByteString.CopyFrom(grant.EncapsulatedKey),
            WrappedKey = ByteString.CopyFrom(grant.WrappedKey),
        }));
        return frame;
    }

    private static Asset ToFrame(AssetRef asset) => new() { AssetId = asset.AssetId.ToString("D"), BlobSha256 = asset.BlobSha256, SizeBytes = asset.SizeBytes };
}
