using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>
/// A job sealed by hand, so that a test can spoil any piece of it: the plaintext, the ciphertext before it is hashed, or the message on its way.
/// </summary>
internal sealed record RawJob(JobId JobId, JsonObject Spec, byte[] Manifest, byte[] Asset)
{
    public static async Task<RawJob> SealAsync(
        RenderTrustClient creator, CancellationToken cancellationToken, JobId? jobId = null, int units = 1, Func<byte[], byte[]>? spoilAsset = null, Func<byte[], byte[]>? spoilManifest = null, int fillBytes = 0)
    {
        var id = jobId ?? JobId.New();
        var module = await Scenes.PovrayAsync(creator, cancellationToken);
        var recipients = await creator.Identity.GetRecipientsAsync("node", cancellationToken);
        using var assetKey = SetKey.Generate();
        using var manifestKey = SetKey.Generate();
        var (assetId, manifestId) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        var (_, asset) = AssetSealer.SealBytes(
            assetKey, assetId, [new("scene.pov", Encoding.UTF8.GetBytes(Scenes.Ball)), new("texture.bin", RandomNumberGenerator.GetBytes(fillBytes))]);
        asset = spoilAsset?.Invoke(asset) ?? asset;
        var cap = Pricing.WorstCase(units, 60, module.RatePerMinuteMicrocredits);
        var (_, manifest) = Manifests.SealBytes(manifestKey, manifestId, new JobManifest
        {
            JobId = id.Value,
            Module = module.Reference,
            Parameters = JsonSerializer.SerializeToElement(new { scene = "scene.pov", widthPixels = Scenes.Width, heightPixels = Scenes.Height }),
            Units = [.. Enumerable.Range(0, units).Select(unit => new ManifestUnit(unit, JsonSerializer.SerializeToElement(new { frame = unit, clock = 0.0 })))],
            Assets = [new ManifestAsset(assetId, "")],
            OutputRecipients = [creator.Profile.EncryptionKey.PublicKey.Encode()],
            OutputHashKey = RandomNumberGenerator.GetBytes(32),
            MaxUnitDeviceSeconds = 60,
            CapMicrocredits = cap,
        });
        manifest = spoilManifest?.Invoke(manifest) ?? manifest;
        var manifestHash = Sha256(manifest);
        AssetGrant Grant(RecipientPublicKey recipient, Guid of, SetKey key)
        {
            var grant = Grants.Seal(key, recipient, new GrantContext(id.Value, manifestHash, of));
            return new AssetGrant(grant.AssetId, grant.RecipientKeyId, grant.EncapsulatedKey, grant.WrappedKey);
        }

        var spec = new JobSpec(
            id, module.Reference, new AssetRef(manifestId, manifestHash, manifest.Length), units, 60, cap, 600,
            [new AssetRef(assetId, Sha256(asset), asset.Length)],
            [.. recipients.SelectMany(recipient => new[] { Grant(recipient.Key, manifestId, manifestKey), Grant(recipient.Key, assetId, assetKey) })]);
        return new RawJob(id, JsonSerializer.SerializeToNode(spec, WireJson.Options)!.AsObject(), manifest, asset);
    }

    /// <summary>The spec with something changed in it.</summary>
    public RawJob With(Action<JsonObject> change)
    {
        var spec = Spec.DeepClone().AsObject();
        change(spec);
        return this with { Spec = spec };
    }

    /// <summary>Parameters of SendMessage, with more parts behind those of the job.</summary>
    public JsonObject Message(params JsonObject[] more) => MessageOf([SpecPart(), SealedPart(Manifest), SealedPart(Asset), .. more]);

    public static JsonObject MessageOf(IReadOnlyList<JsonObject> parts) => new()
    {
        ["message"] = new JsonObject
        {
            ["messageId"] = Guid.CreateVersion7().ToString(),
            ["role"] = "ROLE_USER",
            ["parts"] = new JsonArray([.. parts.Select(part => part.DeepClone())]),
        },
        ["configuration"] = new JsonObject { ["returnImmediately"] = true },
    };

    public JsonObject SpecPart() => new() { ["data"] = Spec.DeepClone(), ["mediaType"] = MediaTypes.JobSpec };

    public static JsonObject SealedPart(byte[] bytes) => new() { ["raw"] = Convert.ToBase64String(bytes), ["mediaType"] = MediaTypes.Sealed };

    public Task<Answer> SubmitAsync(RenderTrustClient creator) => creator.CallAsync(A2AMethods.SendMessage, Message());

    /// <summary>Submits, and the job must be taken.</summary>
    public async Task<string> AcceptedAsync(RenderTrustClient creator)
    {
        var answer = await SubmitAsync(creator);
        Assert.True(answer.Json.TryGetProperty("result", out var result), answer.ToString());
        return result.GetProperty("task").GetProperty("id").GetString()!;
    }

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
