using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.Client.Profiles;

/// <summary>The public facts of a profile; <c>profile.json</c>.</summary>
/// <param name="CaCertificatePem">The platform CA as pinned on first contact.</param>
public sealed record ProfileFacts(
    int FormatVersion, Uri GatewayUrl, TenantId TenantId, DeviceId DeviceId, string DisplayName, string DeviceName, string CaCertificatePem);

/// <summary>
/// Who a creator is on this machine: a folder with <c>profile.json</c>, the device key, the encryption key and records of the jobs
/// submitted from here.
/// </summary>
public sealed class CreatorProfile : IDisposable
{
    private const string FactsFile = "profile.json";
    private const string DeviceKeyFile = "device.key.json";
    private const string Remedy = "Restore the folder from a copy, check RENDERTRUST_PASSPHRASE, or move the folder away and make new keys with: rendertrust login.";
    private const string EncryptionKeyFile = "encryption.key.json";

    private static readonly JsonSerializerOptions Json = new(WireJson.Options) { WriteIndented = true };

    private CreatorProfile(string folder, ProfileFacts facts, DeviceKey deviceKey, RecipientKeyPair encryptionKey)
    {
        Folder = folder;
        Facts = facts;
        DeviceKey = deviceKey;
        EncryptionKey = encryptionKey;
        PlatformCa = X509Certificate2.CreateFromPem(facts.CaCertificatePem);
    }

    public string Folder { get; }

    public ProfileFacts Facts { get; }

    public DeviceKey DeviceKey { get; }

    /// <summary>Outputs are granted to this key.</summary>
    public RecipientKeyPair EncryptionKey { get; }

    public X509Certificate2 PlatformCa { get; }

    /// <summary>Where records of submitted jobs are kept.</summary>
    public string JobsFolder => Path.Combine(Folder, "jobs");

    public static bool Exists(string folder) => File.Exists(Path.Combine(folder, FactsFile));

    /// <param name="folder">The profile's folder.</param>
    /// <param name="passphrase">Of its key files, if they have one.</param>
    public static CreatorProfile Load(string folder, string? passphrase = null)
    {
        var file = Path.Combine(folder, FactsFile);
        if (!File.Exists(file))
        {
            throw new RenderTrustException(RenderTrustError.InvalidProfile, $"There is no profile in {folder}. Sign up first: rendertrust login.");
        }

        try
        {
            var facts = JsonSerializer.Deserialize<ProfileFacts>(File.ReadAllBytes(file), Json) ?? throw new JsonException("It is null.");
            if (facts.FormatVersion != 1)
            {
                throw new JsonException($"It has format version {facts.FormatVersion}; this build reads 1.");
            }

            var (device, encryption) = ReadKeys(folder, passphrase);
            return new CreatorProfile(folder, facts, device, encryption);
        }
        catch (JsonException exception)
        {
            throw new RenderTrustException(RenderTrustError.InvalidProfile, $"{file} is damaged: {Cause(exception)} {Remedy}", exception);
        }
        catch (Exception exception) when (exception is FileNotFoundException or SealingException)
        {
            throw new RenderTrustException(RenderTrustError.InvalidProfile, $"{exception.Message} {Remedy}", exception);
        }
    }

    // A reader of JSON names places from 0, and our own types.
    private static string Cause(JsonException exception) => exception.LineNumber is { } line ? $"line {line + 1} is not what login has written."
        : exception.Message.Contains("RenderTrust.", StringComparison.Ordinal) ? "it lacks what login has written."
        : exception.Message;

    /// <summary>A profile that lives in memory only, for tools that make many creators.</summary>
    internal static CreatorProfile InMemory(string folder, ProfileFacts facts, DeviceKey deviceKey, RecipientKeyPair encryptionKey) =>
        new(folder, facts, deviceKey, encryptionKey);

    /// <summary>
    /// Makes the keys, or takes those that an earlier attempt left: a registration whose answer was lost is repeated with the
    /// same keys, which the platform recognises.
    /// </summary>
    internal static (DeviceKey Device, RecipientKeyPair Encryption) MakeKeys(string folder, string? passphrase)
    {
        if (!OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        Directory.CreateDirectory(folder);
        MakeKey(Path.Combine(folder, DeviceKeyFile), KeyPurpose.Signing, passphrase);
        MakeKey(Path.Combine(folder, EncryptionKeyFile), KeyPurpose.Encryption, passphrase);
        return ReadKeys(folder, passphrase);
    }

    internal static CreatorProfile Save(string folder, ProfileFacts facts, DeviceKey deviceKey, RecipientKeyPair encryptionKey)
    {
        var file = Path.Combine(folder, FactsFile);
        File.WriteAllBytes(file + ".tmp", JsonSerializer.SerializeToUtf8Bytes(facts, Json));
        File.Move(file + ".tmp", file, overwrite: true);
        return new CreatorProfile(folder, facts, deviceKey, encryptionKey);
    }

    public void Dispose()
    {
        DeviceKey.Dispose();
        EncryptionKey.Dispose();
        PlatformCa.Dispose();
    }

    private static void MakeKey(string file, KeyPurpose purpose, string? passphrase)
    {
        if (!File.Exists(file))
        {
            using var pair = RecipientKeyPair.Generate();
            KeyFile.Write(file, purpose, pair.ExportPkcs8(), passphrase);
        }
    }

    private static (DeviceKey Device, RecipientKeyPair Encryption) ReadKeys(string folder, string? passphrase) => (
        DeviceKey.FromPkcs8(KeyFile.Read(Path.Combine(folder, DeviceKeyFile), KeyPurpose.Signing, passphrase)),
        RecipientKeyPair.FromPkcs8(KeyFile.Read(Path.Combine(folder, EncryptionKeyFile), KeyPurpose.Encryption, passphrase)));
}
