using RenderTrust.Client.Http;
using RenderTrust.Contracts;

namespace RenderTrust.Client;

/// <summary>Credits of the creator: what is there, what is held, and what moved.</summary>
public sealed class CreditsClient
{
    private readonly HttpClient _http;

    internal CreditsClient(HttpClient http) => _http = http;

    public Task<CreditBalance> GetBalanceAsync(CancellationToken cancellationToken) => _http.GetAsync<CreditBalance>("/v1/credits", cancellationToken);

    /// <summary>Free credits, on a platform in Development only. The id makes a repeat harmless.</summary>
    public Task<TopUpResponse> TopUpAsync(Guid topUpId, long amountMicrocredits, CancellationToken cancellationToken) =>
        _http.PostAsync<TopUpResponse>("/v1/credits/top-ups", new TopUpRequest(topUpId, amountMicrocredits), cancellationToken);

    public Task<LedgerEntryList> ListEntriesAsync(JobId? jobId, CancellationToken cancellationToken) =>
        _http.GetAsync<LedgerEntryList>(jobId is { } id ? $"/v1/credits/entries?jobId={id}" : "/v1/credits/entries", cancellationToken);
}
