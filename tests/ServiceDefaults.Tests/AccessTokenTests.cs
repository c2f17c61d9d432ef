using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults.Tests;

/// <summary>A signature is believed once it was checked; all else about a token is looked at each time.</summary>
public sealed class AccessTokenTests : IDisposable
{
    private readonly IOptions<TrustOptions> _options = Options.Create(new TrustOptions());

    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private readonly FakeIdentity _identity = new();
    private readonly SigningKeys _keys;
    private readonly Revocations _revocations;
    private readonly AccessTokens _tokens;

    public AccessTokenTests()
    {
        _keys = new SigningKeys(_identity, _options, _time, NullLogger<SigningKeys>.Instance);
        _revocations = new Revocations(_identity, _options, _time);
        _tokens = new AccessTokens(_keys, _revocations, _time);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _keys.Dispose();
        _revocations.Dispose();
        _identity.Dispose();
    }

    [Fact]
    public async Task A_token_seen_before_expires()
    {
        var token = _identity.Token(at: _time.GetUtcNow());
        Assert.Equal(AccessTokenOutcome.Valid, (await _tokens.ValidateAsync(token, Token)).Outcome);

        _time.Advance(TimeSpan.FromHours(23));
        Assert.Equal(AccessTokenOutcome.Valid, (await _tokens.ValidateAsync(token, Token)).Outcome);
        _time.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(61));

        Assert.Equal(AccessTokenOutcome.Expired, (await _tokens.ValidateAsync(token, Token)).Outcome);
        Assert.Equal(AccessTokenOutcome.Expired, (await _tokens.ValidateAsync(token, Token)).Outcome);
    }

    [Fact]
    public async Task A_token_seen_before_is_refused_once_its_holder_is_revoked()
    {
        var device = Guid.CreateVersion7();
        var token = _identity.Token(device, at: _time.GetUtcNow());
        Assert.Equal(AccessTokenOutcome.Valid, (await _tokens.ValidateAsync(token, Token)).Outcome);

        _identity.Revocations = new RevocationList(2, [device], [], []);
        _time.Advance(TimeSpan.FromSeconds(_options.Value.RevocationMaxAgeSeconds + 1));

        Assert.Equal(AccessTokenOutcome.Revoked, (await _tokens.ValidateAsync(token, Token)).Outcome);
    }

    [Fact]
    public async Task A_token_seen_before_is_refused_once_its_key_is_withdrawn()
    {
        var token = _identity.Token(at: _time.GetUtcNow());
        Assert.Equal(AccessTokenOutcome.Valid, (await _tokens.ValidateAsync(token, Token)).Outcome);

        _identity.HasNoKeys = true;
        _time.Advance(TimeSpan.FromSeconds(_options.Value.SigningKeyMaxAgeSeconds + 1));

        Assert.Equal(AccessTokenOutcome.UnknownKey, (await _tokens.ValidateAsync(token, Token)).Outcome);
    }

    [Fact]
    public async Task What_one_request_adds_to_its_caller_no_other_sees()
    {
        var token = _identity.Token(at: _time.GetUtcNow());

        (await _tokens.ValidateAsync(token, Token)).Principal!.Identities.Single().AddClaim(new("extra", "1"));

        Assert.Null((await _tokens.ValidateAsync(token, Token)).Principal!.FindFirst("extra"));
    }
}
