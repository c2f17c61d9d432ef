using RenderTrust.Client.Http;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Identity;

/// <summary>The creator's account: devices, API keys, node enrolment, and the keys of recipients.</summary>
public sealed class IdentityClient
{
    private readonly HttpClient _http;
    private readonly CreatorProfile _profile;
    private readonly TimeProvider _time;
    private readonly KeyStatementVerifier _verifier;

    internal IdentityClient(HttpClient http, CreatorProfile profile, TimeProvider time)
    {
        _http = http;
        _profile = profile;
        _time = time;
        _verifier = new KeyStatementVerifier(profile.PlatformCa, time);
    }

    public Task<MeResponse> GetMeAsync(CancellationToken cancellationToken) => _http.GetAsync<MeResponse>("/v1/identity/me", cancellationToken);

    /// <summary>A one-time token with which a machine becomes a node of this creator.</summary>
    public Task<NodeTokenResponse> CreateNodeTokenAsync(string nodeName, int expiresInSeconds, CancellationToken cancellationToken) =>
        _http.PostAsync<NodeTokenResponse>("/v1/identity/node-tokens", new NodeTokenRequest(nodeName, expiresInSeconds), cancellationToken);

    public Task<CreateApiKeyResponse> CreateApiKeyAsync(CreateApiKeyRequest request, CancellationToken cancellationToken) =>
        _http.PostAsync<CreateApiKeyResponse>("/v1/identity/api-keys", request, cancellationToken);

    public Task<ApiKeyList> ListApiKeysAsync(CancellationToken cancellationToken) =>
        _http.GetAsync<ApiKeyList>("/v1/identity/api-keys", cancellationToken);

    public Task RevokeApiKeyAsync(Guid apiKeyId, CancellationToken cancellationToken) =>
        _http.DeleteAsync($"/v1/identity/api-keys/{apiKeyId:D}", cancellationToken);

    /// <summary>Begins to let a browser in; the link is for a person to open within a minute.</summary>
    public Task<BrowserSignIn> SignInBrowserAsync(CancellationToken cancellationToken) => BrowserSignIn.BeginAsync(_http, _profile, _time, cancellationToken);

    /// <summary>Browsers that are signed in.</summary>
    public async Task<IReadOnlyList<SessionItem>> ListSessionsAsync(CancellationToken cancellationToken) =>
        (await _http.GetAsync<SessionList>("/v1/identity/sessions", cancellationToken)).Sessions;

    /// <summary>Signs a browser out; within seconds it sees nothing more.</summary>
    public Task EndSessionAsync(Guid sessionId, CancellationToken cancellationToken) =>
        _http.DeleteAsync($"/v1/identity/sessions/{sessionId:D}", cancellationToken);

    public Task RevokeDeviceAsync(DeviceId deviceId, CancellationToken cancellationToken) =>
        _http.DeleteAsync($"/v1/identity/devices/{deviceId}", cancellationToken);

    /// <summary>
    /// The keys of all nodes (kind <c>node</c>), or of the platform's overflow pool (kind <c>overflow</c>), that a job can be sealed for, each checked against the pinned CA. One bad statement fails the call: a directory
    /// that mixes good and forged entries is not to be picked from.
    /// </summary>
    public async Task<IReadOnlyList<VerifiedRecipient>> GetRecipientsAsync(string kind, CancellationToken cancellationToken)
    {
        var list = await _http.GetAsync<KeyStatementList>($"/v1/identity/key-statements?kind={Uri.EscapeDataString(kind)}", cancellationToken);
        return [.. list.Statements.Select(statement => _verifier.Verify(statement, kind)).DistinctBy(recipient => recipient.Key.KeyId)];
    }
}
