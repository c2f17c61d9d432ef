using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RenderTrust.Sealing;

/// <summary>What a key file's key is for. It is authenticated, so that a key cannot be slipped into another role.</summary>
public enum KeyPurpose
{
    /// <summary>Opens grants (ECDH).</summary>
    Encryption,

    /// <summary>Signs tokens and proofs (ECDSA).</summary>
    Signing,
}

/// <summary>
/// A private P-256 key on disk. With a passphrase: AES-256-GCM under PBKDF2-HMAC-SHA256. Without: plain, and then only a file
/// that nobody else can read is written or accepted.
/// </summary>
public static class KeyFile
{
    public const int DefaultIterations = 600_000;

    private const string Format = "rendertrust-key";
    private const int MaxFileBytes = 16_384;
    private const int MinIterations = 100_000;
    private const int MaxIterations = 10_000_000;
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        NewLine = "\n",
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    /// <summary>Writes the file in one step: nobody sees half a key, and an existing one is not replaced.</summary>
    public static void Write(string fileName, KeyPurpose purpose, ReadOnlySpan<byte> pkcs8, string? passphrase = null)
    {
        var temporary = $"{fileName}.{RandomNumberGenerator.GetHexString(8)}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = Private;
        }

        try
        {
            using (var file = new FileStream(temporary, options))
            {
                file.Write(Encode(purpose, pkcs8, passphrase));
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, fileName, overwrite: false);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Gives the private key in PKCS#8.</summary>
    public static byte[] Read(string fileName, KeyPurpose purpose, string? passphrase = null)
    {
        var info = new FileInfo(fileName);
        if (!info.Exists)
        {
            throw new FileNotFoundException($"There is no key file at {fileName}.", fileName);
        }

        if (info.Length > MaxFileBytes)
        {
            throw Invalid($"{fileName} has {info.Length} bytes (limit {MaxFileBytes})");
        }

        var content = Parse(File.ReadAllBytes(fileName));
        if (content.Ciphertext is null && !OperatingSystem.IsWindows() && (File.GetUnixFileMode(fileName) & Others) != 0)
        {
            throw Invalid($"{fileName} has no passphrase and others may read it. Run: chmod 600 {fileName}");
        }

        return Decode(content, purpose, passphrase);
    }

    /// <summary>The content of a key file, for other places than a file.</summary>
    public static byte[] Encode(KeyPurpose purpose, ReadOnlySpan<byte> pkcs8, string? passphrase = null)
    {
        Span<byte> random = stackalloc byte[16 + 12];
        RandomNumberGenerator.Fill(random);
        return Encode(purpose, pkcs8, passphrase, DefaultIterations, random[..16], random[16..]);
    }

    public static byte[] Decode(ReadOnlySpan<byte> content, KeyPurpose purpose, string? passphrase = null) =>
        Decode(Parse(content), purpose, passphrase);

    internal static byte[] Encode(
        KeyPurpose purpose, ReadOnlySpan<byte> pkcs8, string? passphrase, int iterations, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> nonce)
    {
        using var pair = RecipientKeyPair.FromPkcs8(pkcs8);
        var content = new Content(Format, 1, purpose, pair.PublicKey.KeyId, pair.PublicKey.Encode());
        if (string.IsNullOrEmpty(passphrase))
        {
            return JsonSerializer.SerializeToUtf8Bytes(content with { Pkcs8 = pkcs8.ToArray() }, Json);
        }

        var ciphertext = new byte[pkcs8.Length + 16];
        using var cipher = new AesGcm(Derive(passphrase, salt, iterations), 16);
        cipher.Encrypt(nonce, pkcs8, ciphertext.AsSpan(0, pkcs8.Length), ciphertext.AsSpan(pkcs8.Length), AssociatedData(content));
        return JsonSerializer.SerializeToUtf8Bytes(
            content with
            {
                Kdf = "PBKDF2-HMAC-SHA256",
                Iterations = iterations,
                Salt = salt.ToArray(),
                Nonce = nonce.ToArray(),
                Ciphertext = ciphertext,
            },
            Json);
    }

    private static Content Parse(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var content = JsonSerializer.Deserialize<Content>(bytes, Json) ?? throw Invalid("it is null");
            if (content.Format != Format || content.Version != 1)
            {
                throw Invalid($"it is '{content.Format}' version {content.Version}; this build reads '{Format}' version 1");
            }

            return content;
        }
        catch (JsonException exception)
        {
            throw new SealingException(SealingError.InvalidKeyFile, $"The key file is damaged: {exception.Message}", exception);
        }
    }

    private static byte[] Decode(Content content, KeyPurpose purpose, string? passphrase)
    {
        if (content.Purpose != purpose)
        {
            throw Invalid($"its key is for {content.Purpose}, not for {purpose}");
        }

        var pkcs8 = content.Ciphertext is null ? content.Pkcs8 ?? throw Invalid("it holds no key") : Decrypt(content, passphrase);
        using var pair = RecipientKeyPair.FromPkcs8(pkcs8);
        if (pair.PublicKey.Encode() != content.PublicKey || pair.PublicKey.KeyId != content.KeyId)
        {
            throw Invalid("its public and private key do not belong together");
        }

        return pkcs8;
    }

    private static byte[] Decrypt(Content content, string? passphrase)
    {
        if (content.Kdf != "PBKDF2-HMAC-SHA256" || content.Iterations is not (>= MinIterations and <= MaxIterations)
            || content.Salt is not { Length: 16 } || content.Nonce is not { Length: 12 } || content.Ciphertext is not { Length: > 16 }
            || content.Pkcs8 is not null)
        {
            throw Invalid($"its protection is not PBKDF2-HMAC-SHA256 with {MinIterations} to {MaxIterations} iterations, a 16-byte salt and a 12-byte nonce");
        }

        if (string.IsNullOrEmpty(passphrase))
        {
            throw new SealingException(SealingError.WrongPassphrase, "The key file has a passphrase and none was given.");
        }

        var pkcs8 = new byte[content.Ciphertext.Length - 16];
        try
        {
            using var cipher = new AesGcm(Derive(passphrase, content.Salt, content.Iterations.Value), 16);
            cipher.Decrypt(content.Nonce, content.Ciphertext.AsSpan(0, pkcs8.Length), content.Ciphertext.AsSpan(pkcs8.Length), pkcs8, AssociatedData(content));
            return pkcs8;
        }
        catch (AuthenticationTagMismatchException exception)
        {
            throw new SealingException(SealingError.WrongPassphrase, "The passphrase does not open the key file, or the file was changed.", exception);
        }
    }

    private static byte[] Derive(string passphrase, ReadOnlySpan<byte> salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(passphrase), salt, iterations, HashAlgorithmName.SHA256, 32);

    private static byte[] AssociatedData(Content content) =>
        Encoding.UTF8.GetBytes($"rendertrust/keyfile/v1\0{(content.Purpose == KeyPurpose.Encryption ? "encryption" : "signing")}\0{content.PublicKey}");

    private static SealingException Invalid(string why) => new(SealingError.InvalidKeyFile, $"The key file is refused: {why}.");

    private sealed record Content(string Format, int Version, KeyPurpose Purpose, string KeyId, string PublicKey)
    {
        public byte[]? Pkcs8 { get; init; }

        public string? Kdf { get; init; }

        public int? Iterations { get; init; }

        public byte[]? Salt { get; init; }

        public byte[]? Nonce { get; init; }

        public byte[]? Ciphertext { get; init; }
    }
}
