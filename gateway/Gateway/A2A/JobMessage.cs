using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text.Json;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Blobs;

namespace RenderTrust.Gateway.A2A;

/// <summary>A sealed object that came inside the message.</summary>
internal sealed record InlineBlob(string Sha256, byte[] Bytes);

/// <summary>A job as it was sent: the public spec, where in the message it stands, and the sealed objects that came along.</summary>
/// <param name="SpecPath">JSON path of the spec, for errors about it.</param>
internal sealed record JobMessage(JobSpec Spec, string SpecPath, IReadOnlyList<InlineBlob> Inline)
{
    private const int EncapsulatedKeyBytes = 65;
    private const int WrappedKeyBytes = 48;
    private const int MaxContextCharacters = 200;
    private const int MaxKeyIdCharacters = 64;

    /// <summary>
    /// Reads a message that submits a job, or says why it cannot be one. Null: the message holds only text and asks no job.
    /// Order of checks: kinds of parts, sealed form, size, spec, spec against parts.
    /// </summary>
    public static JobMessage? Read(Message message, int maxInlineBytes)
    {
        var parts = message.Parts;
        var specs = Enumerable.Range(0, parts.Count).Where(i => parts[i].Data.ValueKind is not JsonValueKind.Undefined && parts[i].MediaType == MediaTypes.JobSpec).ToList();
        if (specs.Count == 0 && parts.All(part => part.Text is not null && part.Filename is null))
        {
            return null;
        }

        for (var index = 0; index < parts.Count; index++)
        {
            RefuseUnsupported(parts[index], index);
        }

        if (specs.Count != 1)
        {
            throw Invalid("message.parts", $"has {specs.Count} job specs; a message submits one job. Add exactly one data part of media type {MediaTypes.JobSpec}.");
        }

        var inline = parts.Where(part => part.Raw is not null).Select(part => new InlineBlob(Convert.ToHexStringLower(SHA256.HashData(part.Raw!)), part.Raw!)).ToList();
        var total = inline.Sum(blob => (long)blob.Bytes.Length);
        if (total > maxInlineBytes)
        {
            throw new A2AErrorException(A2AError.InvalidParams("message.parts", $"hold {total} sealed bytes; inline at most {maxInlineBytes} are taken. Upload the assets to /v1/uploads first and leave their parts out.")
                .WithInfo("INLINE_TOO_LARGE", JobRefusals.Domain, ("limitBytes", maxInlineBytes.ToString(System.Globalization.CultureInfo.InvariantCulture))));
        }

        if (message.ContextId is { } context && (context.Length > MaxContextCharacters || context.Any(char.IsControl)))
        {
            throw Invalid("message.contextId", $"must have at most {MaxContextCharacters} characters and no control characters.");
        }

        var specPath = $"message.parts[{specs[0]}].data";
        var spec = ReadSpec(parts[specs[0]].Data, specPath);
        RefuseNulls(spec, specPath);
        CheckSpec(spec, specPath);
        CheckInline(parts, spec);
        return new JobMessage(spec, specPath, [.. inline.DistinctBy(blob => blob.Sha256)]);
    }

    /// <summary>Every sealed object that the spec names.</summary>
    public IEnumerable<(string Path, AssetRef Asset)> References() => References(Spec).Select(r => ($"{SpecPath}.{r.Path}", r.Asset));

    private static IEnumerable<(string Path, AssetRef Asset)> References(JobSpec spec) =>
        spec.Assets.Select((asset, index) => ($"assets[{index}]", asset)).Prepend(("manifest", spec.Manifest));

    private static void RefuseUnsupported(Part part, int index)
    {
        var path = $"message.parts[{index}]";
        var mediaType = part.MediaType ?? "(none)";
        var problem = part switch
        {
            { Text: not null } => "is plain text. What a job works on is sealed before it is sent: parameters go into the sealed manifest, files into sealed assets",
            { Url: not null } => "is a URL. Assets are sealed and uploaded to /v1/uploads, never fetched",
            { Raw: not null, MediaType: not MediaTypes.Sealed } => $"has media type {mediaType}. Seal the asset and send it as {MediaTypes.Sealed}",
            { Raw: { } bytes } when !bytes.AsSpan().StartsWith(SealedFormat.Magic) => "is not in the sealed format (docs/formats). Plaintext assets are refused; seal it with your own keys first",
            { Data.ValueKind: not JsonValueKind.Undefined, MediaType: not MediaTypes.JobSpec } => $"is data of media type {mediaType}; the one known here is {MediaTypes.JobSpec}",
            _ => null,
        };
        if (problem is not null)
        {
            throw new A2AErrorException(A2AError.ContentTypeNotSupported($"{path} {problem}.", ("field", path), ("mediaType", mediaType)));
        }
    }

    private static JobSpec ReadSpec(JsonElement data, string path)
    {
        try
        {
            return data.Deserialize<JobSpec>(WireJson.Strict) ?? throw Invalid(path, "is null.");
        }
        catch (JsonException exception)
        {
            var (where, what) = Explain(exception);
            throw Invalid(where.Length == 0 ? path : $"{path}.{where}", what);
        }
    }

    private static (string Where, string What) Explain(JsonException exception)
    {
        var where = (exception.Path ?? "").TrimStart('$').TrimStart('.');
        var end = exception.Message.IndexOf(" Path: ", StringComparison.Ordinal);
        var text = end < 0 ? exception.Message : exception.Message[..end];
        if (text.Contains("could not be mapped to any .NET member", StringComparison.Ordinal))
        {
            return (where, "is not a member of a job spec. Remove it; parameters belong into the sealed manifest.");
        }

        // The serializer names its own types; a creator knows only the members.
        var missing = text.IndexOf("missing required properties", StringComparison.Ordinal);
        return missing >= 0
            ? (where, "lacks required members: " + text[(text.IndexOf(':', missing) + 1)..].Trim())
            : (where, text.Contains("RenderTrust.", StringComparison.Ordinal) || text.Contains("System.", StringComparison.Ordinal) ? "has a value of the wrong type or form." : text);
    }

    /// <summary>The serializer looks after members, not after the items of a list.</summary>
    private static void RefuseNulls(JobSpec spec, string path)
    {
        var assets = Enumerable.Range(0, spec.Assets.Count).Where(index => spec.Assets[index] is null).Select(index => $"assets[{index}]");
        var grants = Enumerable.Range(0, spec.Grants.Count).Where(index => spec.Grants[index] is null).Select(index => $"grants[{index}]");
        if (assets.Concat(grants).FirstOrDefault() is { } first)
        {
            throw Invalid($"{path}.{first}", "is null.");
        }
    }

    private static void CheckSpec(JobSpec spec, string path)
    {
        var violations = new List<FieldViolation>();
        Annotated(spec, path);
        Annotated(spec.Manifest, $"{path}.manifest");
        foreach (var (where, asset) in References(spec).Skip(1))
        {
            Annotated(asset, $"{path}.{where}");
        }

        if (spec.JobId.Value == Guid.Empty)
        {
            violations.Add(new($"{path}.jobId", "is all zeros; make a new UUIDv7 for each job."));
        }

        var assetIds = References(spec).Select(r => r.Asset.AssetId).ToHashSet();
        if (assetIds.Count != spec.Assets.Count + 1)
        {
            violations.Add(new($"{path}.assets", "name the same assetId twice; manifest and assets have one each."));
        }

        for (var index = 0; index < spec.Grants.Count; index++)
        {
            var grant = spec.Grants[index];
            if (!assetIds.Contains(grant.AssetId))
            {
                violations.Add(new($"{path}.grants[{index}].assetId", "is neither the manifest's nor an asset's."));
            }

            if (grant.EncapsulatedKey.Length != EncapsulatedKeyBytes || grant.WrappedKey.Length != WrappedKeyBytes || !IsKeyId(grant.RecipientKeyId))
            {
                violations.Add(new($"{path}.grants[{index}]", $"needs a recipientKeyId (1 to {MaxKeyIdCharacters} characters of base64url), an encapsulatedKey of {EncapsulatedKeyBytes} bytes and a wrappedKey of {WrappedKeyBytes} bytes."));
            }
        }

        var granted = spec.Grants.Select(grant => grant.AssetId).ToHashSet();
        violations.AddRange(References(spec).Where(r => !granted.Contains(r.Asset.AssetId))
            .Select(r => new FieldViolation($"{path}.grants", $"hold none for {r.Path}: no node could open it. Wrap its set key for at least one recipient.")));
        if (violations.Count > 0)
        {
            throw new A2AErrorException(A2AError.InvalidParams(violations));
        }

        void Annotated(object value, string where)
        {
            var results = new List<ValidationResult>();
            Validator.TryValidateObject(value, new ValidationContext(value), results, validateAllProperties: true);
            violations.AddRange(results.Select(result => new FieldViolation($"{where}.{JsonNamingPolicy.CamelCase.ConvertName(result.MemberNames.FirstOrDefault() ?? "")}", result.ErrorMessage ?? "is not valid.")));
        }
    }

    internal static bool IsKeyId(string text) => text.Length is > 0 and <= MaxKeyIdCharacters && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private static void CheckInline(IReadOnlyList<Part> parts, JobSpec spec)
    {
        var sizes = References(spec).Select(r => r.Asset).GroupBy(asset => asset.BlobSha256).ToDictionary(group => group.Key, group => group.First().SizeBytes);
        for (var index = 0; index < parts.Count; index++)
        {
            if (parts[index].Raw is not { } bytes)
            {
                continue;
            }

            var hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
            if (!sizes.TryGetValue(hash, out var size))
            {
                throw Invalid($"message.parts[{index}].raw", $"has SHA-256 {hash}, which neither manifest nor assets name. It was altered on the way, or the spec is of another job.");
            }

            if (size != bytes.Length)
            {
                throw Invalid($"message.parts[{index}].raw", $"is {bytes.Length} bytes; the spec says {size}.");
            }
        }
    }

    private static A2AErrorException Invalid(string path, string description) => new(A2AError.InvalidParams(path, description));
}
