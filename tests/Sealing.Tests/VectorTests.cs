using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RenderTrust.Sealing.Tests;

/// <summary>
/// The vectors under docs/formats/vectors are what other languages test against. They are made from fixed inputs, so this
/// compares them byte for byte; RENDERTRUST_WRITE_VECTORS=1 writes them anew. A difference means that the format changed.
/// </summary>
public sealed class VectorTests
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", IndentSize = 2 };
    private static readonly byte[] Salt = [.. Enumerable.Range(0, 32).Select(i => (byte)(0xA0 + i))];
    private static readonly Guid JobId = Guid.Parse("0199a1b2-c3d4-7e5f-8a6b-0000000000aa");
    private static readonly byte[] RecipientScalar = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
    private static readonly byte[] BrowserScalar = [.. Enumerable.Range(65, 32).Select(i => (byte)i)];
    private static readonly byte[] EphemeralScalar = [.. Enumerable.Range(33, 32).Select(i => (byte)i)];

    [Fact]
    public async Task Vectors_of_assets_are_reproduced()
    {
        var container = await SealAsync(("empty.bin", []), ("textures/wood.txt", "oak"u8.ToArray()), ("textures/été.txt", "birch"u8.ToArray()));
        var big = await SealAsync(("big.bin", Pattern(2 * 65_536 + 5)));
        var cases = new JsonArray
        {
            Case("three files", container, new Dictionary<string, byte[]>
            {
                ["empty.bin"] = [], ["textures/wood.txt"] = "oak"u8.ToArray(), ["textures/été.txt"] = "birch"u8.ToArray(),
            }),
        };

        var refused = new JsonArray
        {
            Refused("wrong magic", Changed(container, 0), SealingError.NotSealed),
            Refused("version 2", With(container, 8, 2), SealingError.UnsupportedVersion),
            Refused("suite 2", With(container, 9, 2), SealingError.UnsupportedVersion),
            Refused("reserved byte set", With(container, 15, 1), SealingError.UnsupportedVersion),
            Refused("another asset id", Changed(container, 31), SealingError.WrongAsset),
            Refused("salt changed", Changed(container, 32), SealingError.WrongKey),
            Refused("commitment changed", Changed(container, 95), SealingError.WrongKey),
            Refused("preface changed", Changed(container, 96), SealingError.Corrupted),
            Refused("last tag changed", Changed(container, container.Length - 1), SealingError.Corrupted),
            Refused("last byte missing", container[..^1], SealingError.Truncated),
            Refused("only the header", container[..96], SealingError.Truncated),
            Refused("one byte too many", [.. container, 0], SealingError.TrailingData),
        };
        Check("asset.json", new JsonObject
        {
            ["setKey"] = Hex(Samples.Key.Bytes.ToArray()),
            ["assetId"] = Samples.AssetId.ToString(),
            ["salt"] = Hex(Salt),
            ["cases"] = cases,
            ["big"] = new JsonObject
            {
                ["path"] = "big.bin",
                ["content"] = "byte i is (i * 31 >> 3) & 255",
                ["length"] = (2 * 65_536) + 5,
                ["containerLength"] = big.Length,
                ["containerSha256"] = Hex(System.Security.Cryptography.SHA256.HashData(big)),
            },
            ["refused"] = refused,
        });
    }

    [Fact]
    public void Vectors_of_paths_are_reproduced()
    {
        string[] paths =
        [
            "a", "a/b.txt", "deep/er/and deeper/x", " leading space", "漢字/é", "..a", ".hidden", "", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a.",
            "a /b", "a\\b", "c:a", "a\u0001", "a\u007f", new string('s', 255), new string('s', 256),
        ];
        Check("paths.json", new JsonObject
        {
            ["accepted"] = new JsonArray([.. paths.Where(path => AssetPath.Problem(path) is null).Select(path => JsonValue.Create(path))]),
            ["refused"] = new JsonArray([.. paths.Where(path => AssetPath.Problem(path) is not null).Select(path => JsonValue.Create(path))]),
        });
    }

    [Fact]
    public void Vectors_of_grants_are_reproduced()
    {
        using var recipient = RecipientKeyPair.FromScalar(RecipientScalar);
        using var ephemeral = RecipientKeyPair.FromScalar(EphemeralScalar);
        var context = new GrantContext(JobId, string.Concat(Enumerable.Repeat("0123456789abcdef", 4)), Samples.AssetId);
        var grant = Grants.Seal(Samples.Key, recipient.PublicKey, context, ephemeral);
        using var opened = Grants.Open(grant, recipient, context);
        Assert.Equal(Samples.Key.Bytes, opened.Bytes);

        Check("grant.json", new JsonObject
        {
            ["recipientPrivateScalar"] = Hex(RecipientScalar),
            ["recipientPoint"] = Hex(recipient.PublicKey.Point),
            ["recipientEncoded"] = recipient.PublicKey.Encode(),
            ["recipientKeyId"] = recipient.PublicKey.KeyId,
            ["ephemeralPrivateScalar"] = Hex(EphemeralScalar),
            ["jobId"] = JobId.ToString(),
            ["manifestSha256"] = context.ManifestSha256,
            ["assetId"] = context.AssetId.ToString(),
            ["info"] = Hex(Grants.Info(context, recipient.PublicKey)),
            ["setKey"] = Hex(Samples.Key.Bytes.ToArray()),
            ["encapsulatedKey"] = Hex(grant.EncapsulatedKey),
            ["wrappedKey"] = Hex(grant.WrappedKey),
        });
    }

    [Fact]
    public void Vectors_of_key_hand_over_are_reproduced()
    {
        using var creator = RecipientKeyPair.FromScalar(RecipientScalar);
        using var browser = RecipientKeyPair.FromScalar(BrowserScalar);
        using var ephemeral = RecipientKeyPair.FromScalar(EphemeralScalar);
        byte[] secret = [.. Enumerable.Range(200, 32).Select(i => (byte)i)];
        var signInId = Guid.Parse("0199a1b2-c3d4-7e5f-8a6b-0000000000bb");

        Check("hand-over.json", new JsonObject
        {
            ["secret"] = Hex(secret),
            ["code"] = Hex(KeyHandOver.Code(secret)),
            ["browserPrivateScalar"] = Hex(BrowserScalar),
            ["browserPoint"] = Hex(browser.PublicKey.Point),
            ["proof"] = Hex(KeyHandOver.Proof(secret, browser.PublicKey)),
            ["signInId"] = signInId.ToString(),
            ["creatorPoint"] = Hex(creator.PublicKey.Point),
            ["creatorPkcs8"] = Hex(creator.ExportPkcs8()),
            ["handedOver"] = Hex(KeyHandOver.Seal(creator, browser.PublicKey, signInId, ephemeral)),
        });
    }

    [Fact]
    public void Vectors_of_manifests_and_output_hashes_are_reproduced()
    {
        using var recipient = RecipientKeyPair.FromScalar(RecipientScalar);
        var manifest = new JobManifest
        {
            JobId = JobId,
            Module = "povray@1.0.0",
            Parameters = JsonElement.Parse("""{"scene":"scene.pov","width":640,"height":360}"""),
            Units = [new ManifestUnit(0, JsonElement.Parse("""{"frame":1}""")), new ManifestUnit(1, JsonElement.Parse("""{"frame":2}"""))],
            Assets = [new ManifestAsset(Samples.AssetId, "")],
            OutputRecipients = [recipient.PublicKey.Encode()],
            OutputHashKey = [.. Enumerable.Range(64, 32).Select(i => (byte)i)],
            MaxUnitDeviceSeconds = 120,
            CapMicrocredits = 5_000_000,
        };
        Assert.Equal(manifest.ToBytes(), JobManifest.Parse(manifest.ToBytes()).ToBytes());

        Check("manifest.json", new JsonObject
        {
            ["utf8"] = Encoding.UTF8.GetString(manifest.ToBytes()),
            ["outputHashes"] = new JsonArray(new JsonObject
            {
                ["key"] = Hex(manifest.OutputHashKey),
                ["path"] = "frames/0001.png",
                ["content"] = Hex("frame one"u8.ToArray()),
                ["hash"] = OutputHash.Compute(manifest.OutputHashKey, "frames/0001.png", "frame one"u8),
            }),
        });
    }

    [Fact]
    public void Vectors_of_key_files_are_reproduced()
    {
        using var pair = RecipientKeyPair.FromScalar(RecipientScalar);
        // Fixed here rather than exported: how PKCS#8 writes optional parts differs between crypto libraries.
        var pkcs8 = Convert.FromHexString(
            "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420" + Hex(RecipientScalar) + "a144034200" + Hex(pair.PublicKey.Point));
        var content = KeyFile.Encode(KeyPurpose.Encryption, pkcs8, "correct horse", 100_000, Salt.AsSpan(0, 16), Salt.AsSpan(16, 12));
        Assert.Equal(pkcs8, KeyFile.Decode(content, KeyPurpose.Encryption, "correct horse"));

        Check("key-file.json", new JsonObject
        {
            ["passphrase"] = "correct horse",
            ["pkcs8"] = Hex(pkcs8),
            ["file"] = JsonNode.Parse(content),
        });
    }

    private static async Task<byte[]> SealAsync(params (string Path, byte[] Content)[] files)
    {
        using var container = new MemoryStream();
        var sources = files.Select(file => AssetSource.FromBytes(file.Path, file.Content)).ToList();
        await AssetSealer.SealAsync(Samples.Key, Samples.AssetId, sources, container, Salt, TestContext.Current.CancellationToken);
        return container.ToArray();
    }

    private static JsonObject Case(string name, byte[] container, Dictionary<string, byte[]> files)
    {
        Assert.Equal(files, Samples.Open(container));
        return new JsonObject
        {
            ["name"] = name,
            ["files"] = new JsonArray([.. files.Select(file => new JsonObject { ["path"] = file.Key, ["content"] = Hex(file.Value) })]),
            ["container"] = Hex(container),
            ["containerSha256"] = Hex(System.Security.Cryptography.SHA256.HashData(container)),
        };
    }

    private static JsonObject Refused(string name, byte[] container, SealingError error)
    {
        Assert.Equal(error, Samples.ErrorOf(container));
        return new JsonObject { ["name"] = name, ["container"] = Hex(container), ["error"] = error.ToString() };
    }

    private static byte[] Pattern(int length)
    {
        var bytes = new byte[length];
        PatternStream.Fill(bytes, 0);
        return bytes;
    }

    private static byte[] Changed(byte[] container, int at) => With(container, at, (byte)(container[at] ^ 1));

    private static byte[] With(byte[] container, int at, byte value)
    {
        var changed = container.ToArray();
        changed[at] = value;
        return changed;
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);

    private static void Check(string name, JsonObject vector, [CallerFilePath] string here = "")
    {
        var file = Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "docs", "formats", "vectors", name);
        var text = vector.ToJsonString(Indented) + "\n";
        if (Environment.GetEnvironmentVariable("RENDERTRUST_WRITE_VECTORS") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, text);
        }

        Assert.Equal(File.ReadAllText(file).ReplaceLineEndings("\n"), text);
    }
}
