using System.Security.Cryptography;

namespace RenderTrust.Sealing.Tests;

public sealed class GrantTests
{
    private static readonly GrantContext Context = new(
        Guid.Parse("0199a1b2-c3d4-7e5f-8a6b-0000000000aa"), new string('a', 64), Samples.AssetId);

    [Fact]
    public void A_grant_opens_for_its_recipient()
    {
        using var recipient = RecipientKeyPair.Generate();

        var grant = Grants.Seal(Samples.Key, recipient.PublicKey, Context);
        using var opened = Grants.Open(grant, recipient, Context);

        Assert.Equal(Samples.Key.Bytes, opened.Bytes);
        Assert.Equal(65, grant.EncapsulatedKey.Length);
        Assert.Equal(48, grant.WrappedKey.Length);
        Assert.Equal(recipient.PublicKey.KeyId, grant.RecipientKeyId);
    }

    [Fact]
    public void A_grant_opens_for_nobody_else()
    {
        using var recipient = RecipientKeyPair.Generate();
        using var other = RecipientKeyPair.Generate();
        var grant = Grants.Seal(Samples.Key, recipient.PublicKey, Context);

        Assert.Equal(SealingError.NotARecipient, Samples.ErrorOf(() => Grants.Open(grant, other, Context)));
        var relabelled = grant with { RecipientKeyId = other.PublicKey.KeyId };
        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(relabelled, other, Context)));
    }

    [Fact]
    public void A_grant_opens_for_its_job_manifest_and_asset_only()
    {
        using var recipient = RecipientKeyPair.Generate();
        var grant = Grants.Seal(Samples.Key, recipient.PublicKey, Context);
        var otherAsset = Guid.CreateVersion7();

        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(grant, recipient, Context with { JobId = Guid.CreateVersion7() })));
        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(grant, recipient, Context with { ManifestSha256 = new string('b', 64) })));
        Assert.Equal(SealingError.WrongAsset, Samples.ErrorOf(() => Grants.Open(grant, recipient, Context with { AssetId = otherAsset })));
        Assert.Equal(
            SealingError.GrantRefused,
            Samples.ErrorOf(() => Grants.Open(grant with { AssetId = otherAsset }, recipient, Context with { AssetId = otherAsset })));
        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(grant, recipient, Context with { ManifestSha256 = new string('A', 64) })));
    }

    [Fact]
    public void Every_flipped_bit_of_a_grant_is_noticed()
    {
        using var recipient = RecipientKeyPair.Generate();
        var grant = Grants.Seal(Samples.Key, recipient.PublicKey, Context);

        for (var i = 0; i < (65 + 48) * 8; i++)
        {
            var changed = grant with { EncapsulatedKey = [.. grant.EncapsulatedKey], WrappedKey = [.. grant.WrappedKey] };
            var target = i / 8 < 65 ? changed.EncapsulatedKey : changed.WrappedKey;
            target[(i / 8) % 65] ^= (byte)(1 << (i % 8));

            Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(changed, recipient, Context)));
        }
    }

    [Fact]
    public void Grants_of_wrong_lengths_are_refused()
    {
        using var recipient = RecipientKeyPair.Generate();
        var grant = Grants.Seal(Samples.Key, recipient.PublicKey, Context);

        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(grant with { WrappedKey = [] }, recipient, Context)));
        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => Grants.Open(grant with { EncapsulatedKey = [] }, recipient, Context)));
    }

    [Fact]
    public void A_public_key_survives_its_encoding()
    {
        using var pair = RecipientKeyPair.Generate();

        Assert.True(RecipientPublicKey.TryParse(pair.PublicKey.Encode(), out var parsed));

        Assert.Equal(pair.PublicKey, parsed);
        Assert.Equal(22, parsed.KeyId.Length);
        Assert.Equal(System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(parsed.Point).AsSpan(0, 16)), parsed.KeyId);
    }

    [Fact]
    public void Points_that_are_not_on_the_curve_are_refused()
    {
        using var pair = RecipientKeyPair.Generate();
        var off = pair.PublicKey.Point.ToArray();
        off[64] ^= 1;
        byte[] compressed = [2, .. pair.PublicKey.Point.AsSpan(1, 32)];
        byte[] overPrime = [4, .. Enumerable.Repeat((byte)0xFF, 64)];

        foreach (var point in new[] { off, compressed, overPrime, new byte[65], [0], [] })
        {
            Assert.Equal(SealingError.InvalidKey, Samples.ErrorOf(() => RecipientPublicKey.FromPoint(point)));
            Assert.False(RecipientPublicKey.TryParse(System.Buffers.Text.Base64Url.EncodeToString(point), out _));
        }

        Assert.False(RecipientPublicKey.TryParse(null, out _));
        Assert.False(RecipientPublicKey.TryParse("not a key", out _));
        Assert.False(RecipientPublicKey.TryParse(pair.PublicKey.Encode() + "=", out _));
    }

    [Fact]
    public void A_key_pair_survives_pkcs8_and_other_curves_are_refused()
    {
        using var pair = RecipientKeyPair.Generate();
        using var again = RecipientKeyPair.FromPkcs8(pair.ExportPkcs8());
        using var otherCurve = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP384);

        Assert.Equal(pair.PublicKey, again.PublicKey);
        Assert.Equal(SealingError.InvalidKey, Samples.ErrorOf(() => RecipientKeyPair.FromPkcs8(otherCurve.ExportPkcs8PrivateKey())));
        Assert.Equal(SealingError.InvalidKey, Samples.ErrorOf(() => RecipientKeyPair.FromPkcs8([1, 2, 3])));
    }

    [Fact]
    public void A_set_key_has_32_bytes_and_is_gone_after_disposal()
    {
        var key = SetKey.Generate();
        key.Dispose();

        Assert.Throws<ObjectDisposedException>(() => key.Bytes.Length);
        Assert.Equal(SealingError.InvalidKey, Samples.ErrorOf(() => SetKey.FromBytes(new byte[31])));
    }
}
