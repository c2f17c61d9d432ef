using System.Text;

namespace RenderTrust.Sealing.Tests;

public sealed class KeyFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rendertrust-keyfile-").FullName;
    private readonly RecipientKeyPair _pair = RecipientKeyPair.Generate();

    public void Dispose()
    {
        _pair.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("correct horse")]
    public void A_key_file_gives_the_key_back(string? passphrase)
    {
        var file = Path.Combine(_folder, "key.json");

        KeyFile.Write(file, KeyPurpose.Encryption, _pair.ExportPkcs8(), passphrase);

        using var read = RecipientKeyPair.FromPkcs8(KeyFile.Read(file, KeyPurpose.Encryption, passphrase));
        Assert.Equal(_pair.PublicKey, read.PublicKey);
        Assert.Equal([file], Directory.GetFiles(_folder));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
    }

    [Fact]
    public void A_key_file_without_passphrase_that_others_can_read_is_refused()
    {
        if (OperatingSystem.IsWindows())
        {
            return; // Windows has no such modes.
        }

        var file = Path.Combine(_folder, "key.json");
        KeyFile.Write(file, KeyPurpose.Signing, _pair.ExportPkcs8());
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);

        var exception = Assert.Throws<SealingException>(() => KeyFile.Read(file, KeyPurpose.Signing));

        Assert.Equal(SealingError.InvalidKeyFile, exception.Error);
        Assert.Contains("chmod 600", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_existing_key_is_not_overwritten()
    {
        var file = Path.Combine(_folder, "key.json");
        KeyFile.Write(file, KeyPurpose.Signing, _pair.ExportPkcs8());
        var before = File.ReadAllBytes(file);

        Assert.Throws<IOException>(() => KeyFile.Write(file, KeyPurpose.Signing, _pair.ExportPkcs8()));

        Assert.Equal(before, File.ReadAllBytes(file));
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void A_wrong_or_missing_passphrase_is_called_that()
    {
        var content = KeyFile.Encode(KeyPurpose.Encryption, _pair.ExportPkcs8(), "right");

        Assert.Equal(SealingError.WrongPassphrase, Samples.ErrorOf(() => KeyFile.Decode(content, KeyPurpose.Encryption, "wrong")));
        Assert.Equal(SealingError.WrongPassphrase, Samples.ErrorOf(() => KeyFile.Decode(content, KeyPurpose.Encryption)));
        Assert.DoesNotContain("pkcs8", Encoding.UTF8.GetString(content), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_another_purpose_is_refused_even_when_relabelled()
    {
        var content = KeyFile.Encode(KeyPurpose.Encryption, _pair.ExportPkcs8(), "right");
        var relabelled = Encoding.UTF8.GetBytes(
            Encoding.UTF8.GetString(content).Replace("\"encryption\"", "\"signing\"", StringComparison.Ordinal));

        Assert.Equal(SealingError.InvalidKeyFile, Samples.ErrorOf(() => KeyFile.Decode(content, KeyPurpose.Signing, "right")));
        Assert.Equal(SealingError.WrongPassphrase, Samples.ErrorOf(() => KeyFile.Decode(relabelled, KeyPurpose.Signing, "right")));
    }

    [Theory]
    [InlineData("\"version\": 1", "\"version\": 2")]
    [InlineData("\"iterations\": 600000", "\"iterations\": 1")]
    [InlineData("\"iterations\": 600000", "\"iterations\": 2000000000")]
    [InlineData("PBKDF2-HMAC-SHA256", "none")]
    [InlineData("\"format\"", "\"other\": 1, \"format\"")]
    [InlineData("{", "[")]
    public void A_damaged_key_file_is_refused(string from, string to)
    {
        var text = Encoding.UTF8.GetString(KeyFile.Encode(KeyPurpose.Encryption, _pair.ExportPkcs8(), "right"));
        Assert.Contains(from, text, StringComparison.Ordinal);

        var damaged = Encoding.UTF8.GetBytes(text.Replace(from, to, StringComparison.Ordinal));

        Assert.Equal(SealingError.InvalidKeyFile, Samples.ErrorOf(() => KeyFile.Decode(damaged, KeyPurpose.Encryption, "right")));
    }
}
