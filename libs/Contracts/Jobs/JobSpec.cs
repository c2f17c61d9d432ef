using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace RenderTrust.Contracts;

/// <summary>The public part of a job: all that the platform may know. Everything else is in the sealed manifest.</summary>
/// <param name="JobId">Made by the client (UUIDv7); submission is idempotent on (tenant, jobId, manifest hash).</param>
/// <param name="Module">Name and version, <c>povray@1.0.0</c>.</param>
/// <param name="Manifest">The sealed manifest; its <see cref="AssetRef.BlobSha256"/> is the manifest hash.</param>
/// <param name="UnitCount">Number of units (frames or chunks).</param>
/// <param name="MaxUnitDeviceSeconds">Most device seconds that one unit may take and be charged for.</param>
/// <param name="CapMicrocredits">The most that the creator will pay for the whole job.</param>
/// <param name="DeadlineSeconds">From submission; after it, open units fail and the hold is closed.</param>
/// <param name="Assets">Sealed inputs; uploaded before, or inline in the same message.</param>
/// <param name="Grants">Set keys wrapped per recipient: the manifest's and every asset's.</param>
/// <param name="PublicParameters">Only what the module's public schema marks; all else is sealed.</param>
public sealed record JobSpec(
    JobId JobId,
    [property: Required, RegularExpression("^[a-z][a-z0-9-]{0,62}@[0-9]+\\.[0-9]+\\.[0-9]+$")] string Module,
    AssetRef Manifest,
    [property: Range(1, 100_000)] int UnitCount,
    [property: Range(1, 86_400)] int MaxUnitDeviceSeconds,
    [property: Range(1, long.MaxValue)] long CapMicrocredits,
    [property: Range(10, 2_592_000)] int DeadlineSeconds,
    [property: MaxLength(256)] IReadOnlyList<AssetRef> Assets,
    [property: MinLength(1), MaxLength(10_000)] IReadOnlyList<AssetGrant> Grants,
    JsonElement? PublicParameters = null,
    bool AllowOverflow = false);

/// <summary>One sealed object by its id and by the hash of its ciphertext.</summary>
/// <param name="BlobSha256">SHA-256 of the ciphertext, 64 lower-case hex characters.</param>
public sealed record AssetRef(
    Guid AssetId,
    [property: RegularExpression("^[0-9a-f]{64}$")] string BlobSha256,
    [property: Range(1, long.MaxValue)] long SizeBytes);

/// <summary>A set key wrapped for one recipient by HPKE; opaque to the platform. Byte members are base64 in JSON.</summary>
/// <param name="RecipientKeyId">Key id of the recipient's P-256 key, as in its signed key statement.</param>
/// <param name="EncapsulatedKey">65 bytes.</param>
/// <param name="WrappedKey">48 bytes.</param>
public sealed record AssetGrant(Guid AssetId, string RecipientKeyId, byte[] EncapsulatedKey, byte[] WrappedKey);

/// <summary>One sealed output of a unit, as reported by the node and shown in the artifact.</summary>
/// <param name="KeyedHash">HMAC-SHA256 of the plaintext under the manifest's output hash key, lower-case hex: equality can be checked by the creator only.</param>
/// <param name="Grants">The output's set key, wrapped for each output recipient of the sealed manifest.</param>
public sealed record UnitOutput(
    Guid AssetId,
    [property: RegularExpression("^[0-9a-f]{64}$")] string BlobSha256,
    [property: Range(1, long.MaxValue)] long SizeBytes,
    [property: RegularExpression("^[0-9a-f]{64}$")] string KeyedHash,
    IReadOnlyList<AssetGrant> Grants);
