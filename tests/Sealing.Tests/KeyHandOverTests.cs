using System.Security.Cryptography;

namespace RenderTrust.Sealing.Tests;

public sealed class KeyHandOverTests
{
    private static readonly Guid SignIn = Guid.Parse("0199a1b2-c3d4-7e5f-8a6b-0000000000bb");

    [Fact]
    public void The_browser_that_made_the_key_opens_what_was_handed_over()
    {
        using var creator = RecipientKeyPair.Generate();
        using var browser = RecipientKeyPair.Generate();

        using var opened = KeyHandOver.Open(KeyHandOver.Seal(creator, browser.PublicKey, SignIn), browser, SignIn);

        Assert.Equal(creator.PublicKey, opened.PublicKey);
    }

    [Fact]
    public void Nothing_else_opens_it()
    {
        using var creator = RecipientKeyPair.Generate();
        using var browser = RecipientKeyPair.Generate();
        using var other = RecipientKeyPair.Generate();
        var handed = KeyHandOver.Seal(creator, browser.PublicKey, SignIn);
        byte[] changed = [.. handed[..^1], (byte)(handed[^1] ^ 1)];

        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => KeyHandOver.Open(handed, other, SignIn)));
        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => KeyHandOver.Open(handed, browser, Guid.NewGuid())));
        Assert.Equal(SealingError.GrantRefused, Samples.ErrorOf(() => KeyHandOver.Open(changed, browser, SignIn)));
        Assert.Equal(SealingError.InvalidKey, Samples.ErrorOf(() => KeyHandOver.Open(handed.AsSpan(0, 100), browser, SignIn)));
    }

    [Fact]
    public void Only_the_links_secret_proves_a_key()
    {
        var secret = RandomNumberGenerator.GetBytes(KeyHandOver.SecretBytes);
        using var browser = RecipientKeyPair.Generate();
        using var swapped = RecipientKeyPair.Generate();
        var proof = KeyHandOver.Proof(secret, browser.PublicKey);

        Assert.True(KeyHandOver.IsProven(secret, browser.PublicKey, proof));
        Assert.False(KeyHandOver.IsProven(secret, swapped.PublicKey, proof));
        Assert.False(KeyHandOver.IsProven(KeyHandOver.Code(secret), browser.PublicKey, proof));
        Assert.False(KeyHandOver.IsProven(secret, browser.PublicKey, proof.AsSpan(1)));
    }
}
