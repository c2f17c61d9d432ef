using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace RenderTrust.Contracts;

/// <summary>How a unit is run: the image by digest and its limits.</summary>
/// <param name="ImageReference">Repository without tag, <c>127.0.0.1:5000/rendertrust/povray</c>.</param>
/// <param name="ImageDigest"><c>sha256:</c> and 64 hex; the only thing that is pulled.</param>
public sealed record ModuleRuntime(
    [property: Required] string ImageReference,
    [property: RegularExpression("^sha256:[0-9a-f]{64}$")] string ImageDigest,
    DeviceKind DeviceKind,
    [property: Range(16, 1_048_576)] int MemoryMebibytes,
    [property: Range(1, 1_048_576)] int ScratchMebibytes,
    [property: Range(1, 1_048_576)] int OutputMebibytes,
    [property: Range(1, 4096)] int MaxProcesses,
    [property: Range(0.1, 256)] double CpuCount,
    RootfsPin? Rootfs = null);

/// <summary>The same module as a root file system for runners without an engine.</summary>
/// <param name="Url">Where an agent finds the tarball: a path on the node or an https URL.</param>
public sealed record RootfsPin([property: Required] string Url, [property: RegularExpression("^[0-9a-f]{64}$")] string Sha256);

/// <summary><c>POST /v1/modules</c>. Versions are immutable: publishing the same content again is not an error, other content is.</summary>
/// <param name="RatePerMinuteMicrocredits">Charged per device minute; never below the node rate of the device kind.</param>
/// <param name="PublicParametersSchema">JSON Schema of the few parameters that the platform may see; absent = none.</param>
/// <param name="ParametersSchema">JSON Schema of the sealed parameters: checked by the client before sealing.</param>
/// <param name="UnitParametersSchema">Likewise, of each unit's parameters.</param>
public sealed record PublishModuleRequest(
    [property: RegularExpression("^[a-z][a-z0-9-]{0,62}$")] string Name,
    [property: RegularExpression("^[0-9]+\\.[0-9]+\\.[0-9]+$")] string Version,
    [property: StringLength(100, MinimumLength = 1)] string Title,
    [property: StringLength(2000, MinimumLength = 1)] string Description,
    [property: Range(1, long.MaxValue)] long RatePerMinuteMicrocredits,
    ModuleRuntime Runtime,
    JsonElement? PublicParametersSchema,
    JsonElement? ParametersSchema,
    JsonElement? UnitParametersSchema,
    IReadOnlyList<string>? Tags = null,
    IReadOnlyList<string>? Examples = null);

/// <summary>One published version. <c>GET /v1/modules/{name}/{version}</c> and <c>GET /internal/modules/{name}/{version}</c>.</summary>
public sealed record ModuleVersion(
    string Name, string Version, string Title, string Description, TenantId DeveloperTenantId,
    long RatePerMinuteMicrocredits, ModuleRuntime Runtime,
    JsonElement? PublicParametersSchema, JsonElement? ParametersSchema, JsonElement? UnitParametersSchema,
    IReadOnlyList<string> Tags, IReadOnlyList<string> Examples, DateTimeOffset PublishedAt)
{
    public string Reference => $"{Name}@{Version}";
}

/// <summary><c>GET /v1/modules</c> and <c>GET /internal/modules</c>: newest version of each.</summary>
public sealed record ModuleList(IReadOnlyList<ModuleVersion> Modules);
