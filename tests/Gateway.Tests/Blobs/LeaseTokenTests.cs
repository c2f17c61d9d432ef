using System.Text;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests.Blobs;

public sealed class LeaseTokenTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly FakeTimeProvider time = new(DateTimeOffset.UtcNow);
    private readonly LeaseTokenOptions options = new() { RotationHours = 24, KeepHours = 72, RefreshSeconds = 20 };
    private LeaseTokenKeys keys = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await database.MigrateAsync("gateway", typeof(LeaseTokens).Assembly);
        await using var clear = database.DataSourceFor("gateway").CreateCommand("DELETE FROM lease_token_keys");
        await clear.ExecuteNonQueryAsync(Token);
        keys = Replica();
        await keys.RefreshAsync(Token);
    }

    [Fact]
    public void A_token_says_what_was_put_into_it()
    {
        var sut = new LeaseTokens(keys, time);
        var claims = Claims(TimeSpan.FromMinutes(10));

        var read = sut.Verify(sut.Issue(claims))!;

        Assert.Equal((claims.NodeId, claims.AttemptId, claims.FencingToken, claims.TenantId, claims.ExpiresAt), (read.NodeId, read.AttemptId, read.FencingToken, read.TenantId, read.ExpiresAt));
        Assert.Equal(claims.ReadableSha256, read.ReadableSha256);
    }

    [Fact]
    public void A_token_ends_when_the_lease_ends()
    {
        var sut = new LeaseTokens(keys, time);
        var token = sut.Issue(Claims(TimeSpan.FromMinutes(10)));

        time.Advance(TimeSpan.FromMinutes(10));

        Assert.Null(sut.Verify(token, out var fault));
        Assert.Equal(LeaseTokenFault.Expired, fault);
    }

    [Fact]
    public void No_part_of_a_token_can_be_changed()
    {
        var sut = new LeaseTokens(keys, time);
        var token = sut.Issue(Claims(TimeSpan.FromMinutes(10)));

        // The last character of the signature carries bits that no byte uses, so it is changed by more than one place.
        var accepted = Enumerable.Range(0, token.Length).Where(index => token[index] != '.')
            .Select(index => token[..index] + (token[index] == 'A' ? '8' : 'A') + token[(index + 1)..])
            .Where(changed => changed != token && sut.Verify(changed) is not null).ToList();

        Assert.Empty(accepted);
    }

    [Theory]
    [InlineData("""{"alg":"none","typ":"rt-lease+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":"HS512","typ":"rt-lease+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":"HS256","typ":"JWT","kid":"KID"}""")]
    [InlineData("""{"alg":"HS256","typ":"rt-lease+jwt"}""")]
    [InlineData("""[]""")]
    [InlineData("")]
    public void Another_kind_of_token_is_refused(string header)
    {
        var sut = new LeaseTokens(keys, time);
        var parts = sut.Issue(Claims(TimeSpan.FromMinutes(10))).Split('.');
        var changed = System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header.Replace("KID", keys.Signing().KeyId, StringComparison.Ordinal)));

        Assert.Null(sut.Verify($"{changed}.{parts[1]}.{parts[2]}"));
        Assert.Null(sut.Verify($"{changed}.{parts[1]}."));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a.b.c.d")]
    [InlineData("!.!.!")]
    public void Garbage_is_refused(string token) => Assert.Null(new LeaseTokens(keys, time).Verify(token));

    [Fact]
    public async Task Replicas_share_their_keys_and_tokens_outlive_a_rotation()
    {
        var other = Replica();
        await other.RefreshAsync(Token);
        var old = keys.Signing();
        var token = new LeaseTokens(keys, time).Issue(Claims(TimeSpan.FromHours(30)));

        time.Advance(TimeSpan.FromHours(25));
        await keys.RefreshAsync(Token);
        Assert.Equal(old.KeyId, keys.Signing().KeyId);
        time.Advance(TimeSpan.FromMinutes(2));
        await other.RefreshAsync(Token);

        Assert.NotEqual(old.KeyId, keys.Signing().KeyId);
        Assert.Equal(keys.Signing().KeyId, other.Signing().KeyId);
        Assert.NotNull(new LeaseTokens(other, time).Verify(token));
    }

    [Fact]
    public async Task A_key_that_no_living_token_can_name_is_removed()
    {
        var old = keys.Signing().KeyId;

        time.Advance(TimeSpan.FromHours(97));
        await keys.RefreshAsync(Token);

        Assert.Null(keys.Find(old));
    }

    [Fact]
    public async Task Replicas_that_start_together_make_one_key()
    {
        time.Advance(TimeSpan.FromHours(200));
        var replicas = Enumerable.Range(0, 6).Select(_ => Replica()).ToList();

        await Task.WhenAll(replicas.Select(replica => replica.RefreshAsync(Token)));

        Assert.Single(replicas.Select(replica => replica.Signing().KeyId).Distinct());
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private LeaseTokenKeys Replica() => new(database.DataSourceFor("gateway"), Options.Create(options), time);

    private LeaseBlobClaims Claims(TimeSpan life) =>
        new(NodeId.New(), AttemptId.New(), 7, TenantId.New(), [SealedBytes.Random(10).Sha256], time.GetUtcNow() + life);
}
