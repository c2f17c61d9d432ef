using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using RenderTrust.Client.Http;
using RenderTrust.Client.Profiles;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Identity;

/// <summary>
/// Lets a browser in as this creator and hands it the encryption key (docs/formats/sealing.md, section 7). The link's secret is in the part of the address that
/// browsers keep to themselves; what the platform carries lets it neither read nor swap the key.
/// </summary>
public sealed class BrowserSignIn : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(400);

    private readonly HttpClient _http;
    private readonly CreatorProfile _profile;
    private readonly TimeProvider _time;
    private readonly byte[] _secret;
    private readonly Guid _signInId;

    private BrowserSignIn(HttpClient http, CreatorProfile profile, TimeProvider time, byte[] secret, CreateSignInResponse begun)
    {
        (_http, _profile, _time, _secret, _signInId) = (http, profile, time, secret, begun.SignInId);
        ExpiresAt = begun.ExpiresAt;
        Link = new Uri(profile.Facts.GatewayUrl, $"/dashboard/sign-in#{Base64Url.EncodeToString(secret)}");
    }

    /// <summary>Good once, until <see cref="ExpiresAt"/>.</summary>
    public Uri Link { get; }

    public DateTimeOffset ExpiresAt { get; }

    internal static async Task<BrowserSignIn> BeginAsync(HttpClient http, CreatorProfile profile, TimeProvider time, CancellationToken cancellationToken)
    {
        var secret = RandomNumberGenerator.GetBytes(KeyHandOver.SecretBytes);
        var code = Base64Url.EncodeToString(KeyHandOver.Code(secret));
        var request = new CreateSignInRequest(Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(code))));
        return new BrowserSignIn(http, profile, time, secret, await http.PostAsync<CreateSignInResponse>("/v1/identity/sign-ins", request, cancellationToken));
    }

    /// <summary>Waits for the browser and hands the key over.</summary>
    /// <returns>What the browser calls itself; null when none came in time.</returns>
    public async Task<string?> CompleteAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var state = await _http.GetAsync<SignInState>($"/v1/identity/sign-ins/{_signInId:D}", cancellationToken);
            if (state.Browser is { } browser)
            {
                await HandOverAsync(browser, cancellationToken);
                return browser.Name;
            }

            if (_time.GetUtcNow() > ExpiresAt)
            {
                return null;
            }

            await Task.Delay(Pause, _time, cancellationToken);
        }
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);

    private async Task HandOverAsync(SignInBrowser browser, CancellationToken cancellationToken)
    {
        if (!RecipientPublicKey.TryParse(browser.Key, out var key) || !IsProven(key, browser.Proof))
        {
            await _http.DeleteAsync($"/v1/identity/sessions/{browser.SessionId:D}", cancellationToken);
            throw new RenderTrustException(
                RenderTrustError.Untrusted,
                "The browser's key is not proven by the link's secret: somebody in between may have put in a key of their own. No key was handed over and the session was ended. "
                + "Check the platform's address, then make a new link.");
        }

        await _http.PostAsync($"/v1/identity/sign-ins/{_signInId:D}/key", new HandOverKeyRequest(KeyHandOver.Seal(_profile.EncryptionKey, key, _signInId)), cancellationToken);
    }

    private bool IsProven(RecipientPublicKey key, string proof)
    {
        var bytes = new byte[KeyHandOver.ProofBytes];
        return proof.Length == Base64Url.GetEncodedLength(bytes.Length) && Base64Url.IsValid(proof)
            && Base64Url.TryDecodeFromChars(proof, bytes, out var written) && written == bytes.Length && KeyHandOver.IsProven(_secret, key, bytes);
    }
}
