using System.Security.Cryptography;

namespace RenderTrust.Sealing.Tests;

/// <summary>RFC 9180, appendix A.3: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode.</summary>
public sealed class HpkeTests
{
    private const string EphemeralScalar = "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb";
    private const string EphemeralPoint =
        "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4";
    private const string RecipientScalar = "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
    private const string RecipientPoint =
        "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0";
    private const string Info = "4f6465206f6e2061204772656369616e2055726e";
    private const string Plaintext = "4265617574792069732074727574682c20747275746820626561757479";

    [Fact]
    public void Key_pairs_of_the_RFC_belong_together()
    {
        using var ephemeral = RecipientKeyPair.FromScalar(Hex(EphemeralScalar));
        using var recipient = RecipientKeyPair.FromScalar(Hex(RecipientScalar));

        Assert.Equal(EphemeralPoint, Convert.ToHexStringLower(ephemeral.PublicKey.Point));
        Assert.Equal(RecipientPoint, Convert.ToHexStringLower(recipient.PublicKey.Point));
    }

    [Fact]
    public void The_encapsulated_secret_is_the_RFCs()
    {
        using var ephemeral = RecipientKeyPair.FromScalar(Hex(EphemeralScalar));
        var recipient = RecipientPublicKey.FromPoint(Hex(RecipientPoint));
        using var agreement = recipient.ToAgreement();

        var secret = Hpke.SharedSecret(ephemeral.Agreement, agreement, ephemeral.PublicKey.Point, recipient.Point);

        Assert.Equal("c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8", Convert.ToHexStringLower(secret));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_key_schedule_is_the_RFCs_on_both_sides(bool sender)
    {
        using var context = Setup(new Hpke(16), sender);

        Assert.Equal("868c066ef58aae6dc589b6cfdd18f97e", Convert.ToHexStringLower(context.Key));
        Assert.Equal("4e0bc5018beba4bf004cca59", Convert.ToHexStringLower(context.BaseNonce));
        Assert.Equal("14ad94af484a7ad3ef40e9f3be99ecc6fa9036df9d4920548424df127ee0d99f", Convert.ToHexStringLower(context.ExporterSecret));
    }

    [Theory]
    [InlineData(0, "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434")]
    [InlineData(1, "fa6f037b47fc21826b610172ca9637e82d6e5801eb31cbd3748271affd4ecb06646e0329cbdf3c3cd655b28e82")]
    [InlineData(2, "895cabfac50ce6c6eb02ffe6c048bf53b7f7be9a91fc559402cbc5b8dcaeb52b2ccc93e466c28fb55fed7a7fec")]
    [InlineData(255, "2ad71c85bf3f45c6eca301426289854b31448bcf8a8ccb1deef3ebd87f60848aa53c538c30a4dac71d619ee2cd")]
    public void Messages_of_the_RFC_seal_and_open(int sequence, string ciphertext)
    {
        byte[] associatedData = [.. "Count-"u8, .. System.Text.Encoding.ASCII.GetBytes($"{sequence}")];
        using var sender = Setup(new Hpke(16), sender: true);
        using var receiver = Setup(new Hpke(16), sender: false);
        sender.Skip(sequence);
        receiver.Skip(sequence);

        Assert.Equal(ciphertext, Convert.ToHexStringLower(sender.Seal(associatedData, Hex(Plaintext))));
        Assert.Equal(Plaintext, Convert.ToHexStringLower(receiver.Open(associatedData, Hex(ciphertext))));
    }

    [Fact]
    public void The_suite_of_grants_derives_other_keys_than_the_RFCs_suite()
    {
        using var grants = Setup(Hpke.Aes256, sender: true);
        using var rfc = Setup(new Hpke(16), sender: true);

        Assert.Equal(32, grants.Key.Length);
        Assert.NotEqual(rfc.BaseNonce, grants.BaseNonce);
        Assert.NotEqual(rfc.ExporterSecret, grants.ExporterSecret);
    }

    [Fact]
    public void A_changed_message_does_not_open()
    {
        using var receiver = Setup(new Hpke(16), sender: false);
        var ciphertext = Hex("5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434");
        ciphertext[3] ^= 1;

        Assert.Throws<AuthenticationTagMismatchException>(() => receiver.Open("Count-0"u8, ciphertext));
    }

    private static Hpke.Context Setup(Hpke suite, bool sender)
    {
        using var ephemeral = RecipientKeyPair.FromScalar(Hex(EphemeralScalar));
        using var recipient = RecipientKeyPair.FromScalar(Hex(RecipientScalar));
        return sender
            ? suite.SetupSender(recipient.PublicKey, ephemeral, Hex(Info))
            : suite.SetupReceiver(ephemeral.PublicKey, recipient, Hex(Info));
    }

    private static byte[] Hex(string hex) => Convert.FromHexString(hex);
}
