using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Hubs;

/// <summary>Speaks to the gateway replica that holds a node's stream, by that replica's own app id.</summary>
internal sealed class HubClient(AppInvoker apps)
{
    // The hub waits 5 s for the node's acknowledgement; what takes longer has an unknown outcome.
    private static readonly TimeSpan OfferTimeout = TimeSpan.FromSeconds(8);

    public Task<LeaseOfferResponse> OfferAsync(string hubAppId, LeaseOffer offer, CancellationToken cancellationToken) =>
        apps.PostAsync<LeaseOffer, LeaseOfferResponse>(hubAppId, "/internal/hub/leases", offer, OfferTimeout, cancellationToken);

    public Task<LeaseRevocationResponse> RevokeAsync(string hubAppId, LeaseRevocation revocation, CancellationToken cancellationToken) =>
        apps.PostAsync<LeaseRevocation, LeaseRevocationResponse>(hubAppId, "/internal/hub/revocations", revocation, OfferTimeout, cancellationToken);
}
