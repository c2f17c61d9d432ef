using RenderTrust.Client.Http;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Jobs;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;

namespace RenderTrust.Client;

/// <summary>How a client behaves; the defaults suit a person's machine.</summary>
public sealed record RenderTrustClientOptions
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Scopes to ask for; null takes all that the device has.</summary>
    public IReadOnlyList<string>? Scopes { get; init; }

    /// <summary>
    /// Whether jobs leave a record in the profile's folder: what is needed to fetch outputs in another process, and to repeat a
    /// submission whose answer was lost.
    /// </summary>
    public bool KeepJobRecords { get; init; } = true;

    /// <summary>Sealed assets above this are spooled to disk (ciphertext only) instead of memory.</summary>
    public int SpoolThresholdBytes { get; init; } = 4 * 1_048_576;

    /// <summary>Shared connection pool, for tools that act as many creators. The client does not dispose of it.</summary>
    public HttpMessageHandler? Handler { get; init; }
}

/// <summary>Everything that a creator's program does with the platform, signed in as one profile.</summary>
public sealed class RenderTrustClient : IDisposable
{
    private readonly HttpClient _anonymous;
    private readonly HttpClient _http;
    private readonly TokenSource _tokens;

    public RenderTrustClient(CreatorProfile profile, RenderTrustClientOptions? options = null)
    {
        Profile = profile;
        options ??= new RenderTrustClientOptions();
        var gateway = profile.Facts.GatewayUrl;
        var owned = options.Handler is null;
        var handler = options.Handler ?? PlatformHandler.Create(profile.PlatformCa);
        var proofs = new DpopProofs(profile.DeviceKey, options.Time);
        _anonymous = new HttpClient(handler, disposeHandler: owned) { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(30) };
        _tokens = new TokenSource(_anonymous, profile.DeviceKey, profile.Facts.DeviceId, options.Scopes, proofs, options.Time);
        // No timeout of its own: streams last as long as a job, and every call takes a token.
        _http = new HttpClient(new DpopHandler(gateway, _tokens, proofs, handler), disposeHandler: false)
        {
            BaseAddress = gateway,
            Timeout = Timeout.InfiniteTimeSpan,
        };
        Identity = new IdentityClient(_http, profile, options.Time);
        Credits = new CreditsClient(_http);
        Modules = new ModulesClient(_http);
        Jobs = new JobsClient(_http, profile, Identity, Modules, options);
    }

    public CreatorProfile Profile { get; }

    public IdentityClient Identity { get; }

    public CreditsClient Credits { get; }

    public ModulesClient Modules { get; }

    public JobsClient Jobs { get; }

    /// <summary>Signs up a new creator (or repeats a sign-up whose answer was lost) and writes the profile.</summary>
    public static Task<CreatorProfile> SignUpAsync(
        SignUp signUp, string folder, CancellationToken cancellationToken, RenderTrustClientOptions? options = null) =>
        Registration.RunAsync(signUp, folder, options?.Handler, options?.Time ?? TimeProvider.System, cancellationToken);

    /// <summary>Signs up a creator whose keys live in memory only: for load tests.</summary>
    public static Task<CreatorProfile> SignUpInMemoryAsync(
        SignUp signUp, CancellationToken cancellationToken, RenderTrustClientOptions? options = null) =>
        Registration.RunInMemoryAsync(
            signUp, Path.Combine(Path.GetTempPath(), "rendertrust-unsaved"), options?.Handler, options?.Time ?? TimeProvider.System, cancellationToken);

    /// <summary>A current access token for tools that make their own requests; it is bound to the profile's device key.</summary>
    public Task<string> GetAccessTokenAsync(CancellationToken cancellationToken) => _tokens.GetAsync(cancellationToken);

    /// <summary>Requests to the gateway's own routes, signed in; for routes that have no method here.</summary>
    public HttpClient Http => _http;

    public Task<NodeList> ListNodesAsync(CancellationToken cancellationToken) => _http.GetAsync<NodeList>("/v1/nodes", cancellationToken);

    public void Dispose()
    {
        _http.Dispose();
        _anonymous.Dispose();
        _tokens.Dispose();
    }
}
