using System.Text.Json;
using RenderTrust.Client;
using RenderTrust.Cli.Output;
using RenderTrust.Contracts;

namespace RenderTrust.Cli.Platform;

/// <summary>Our first module: made from Debian packages on this machine, kept in the local registry, published by digest.</summary>
internal static class PovrayModule
{
    public const string Name = "povray";

    /// <summary>0.12 credits per CPU minute, of which the node has 0.04.</summary>
    public const long RatePerMinuteMicrocredits = 120_000;

    private const string ParametersSchema =
        """
        {
          "$schema": "https://json-schema.org/draft/2020-12/schema",
          "type": "object",
          "additionalProperties": false,
          "required": ["scene"],
          "properties": {
            "scene": { "type": "string", "pattern": "\\.pov$", "maxLength": 400, "description": "Path of the scene below the job's input." },
            "widthPixels": { "type": "integer", "minimum": 1, "maximum": 16384 },
            "heightPixels": { "type": "integer", "minimum": 1, "maximum": 16384 },
            "quality": { "type": "integer", "minimum": 0, "maximum": 11 },
            "antialias": { "type": ["boolean", "number"] },
            "note": { "type": "string", "maxLength": 500, "description": "For the creator; the module ignores it." }
          }
        }
        """;

    private const string UnitParametersSchema =
        """
        {
          "$schema": "https://json-schema.org/draft/2020-12/schema",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "frame": { "type": "integer", "minimum": 0 },
            "clock": { "type": "number" }
          }
        }
        """;

    /// <summary>Builds the image unless it is there, pushes it to the local registry and publishes it; a changed image becomes the next version.</summary>
    public static async Task<ModuleVersion> PublishAsync(LocalPlatform platform, RenderTrustClient developer, CancellationToken cancellationToken)
    {
        var runtime = await BuildAsync(platform, cancellationToken);
        var latest = (await developer.Modules.ListAsync(cancellationToken)).Modules.FirstOrDefault(module => module.Name == Name);
        if (latest is not null && latest.Runtime == runtime && latest.RatePerMinuteMicrocredits == RatePerMinuteMicrocredits)
        {
            return latest;
        }

        var version = latest is null ? "1.0.0" : Next(latest.Version);
        return await developer.Modules.PublishAsync(
            new PublishModuleRequest(
                Name, version, "POV-Ray", "Renders frames of a POV-Ray scene on the CPU. Each unit is one frame with its own clock value.",
                RatePerMinuteMicrocredits, runtime, null, Parse(ParametersSchema), Parse(UnitParametersSchema),
                ["render", "cpu", "pov-ray"], ["Render my scene.pov with 24 frames at 640x360."]),
            cancellationToken);
    }

    private static async Task<ModuleRuntime> BuildAsync(LocalPlatform platform, CancellationToken cancellationToken)
    {
        var log = platform.Paths.Log("module-povray");
        var layout = Path.Combine(platform.Paths.Cache, "povray");
        var output = await Shell.RunAsync(
            [Path.Combine(platform.Paths.RepositoryRoot, "edge/modules/povray/build.sh"), "--out", layout, "--push", platform.RegistryAddress], cancellationToken, log);
        var pinned = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault() ?? "";
        var at = pinned.IndexOf("@sha256:", StringComparison.Ordinal);
        if (at < 0)
        {
            throw new CliException($"Building the povray module ended without a digest: '{pinned}'.", log);
        }

        using var image = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(layout, "image.json"), cancellationToken));
        var layer = image.RootElement.GetProperty("layer").GetString()!["sha256:".Length..];
        return new ModuleRuntime(
            pinned[..at], pinned[(at + 1)..], DeviceKind.Cpu, MemoryMebibytes: 1024, ScratchMebibytes: 256, OutputMebibytes: 128, MaxProcesses: 64, CpuCount: 1,
            new RootfsPin(Path.Combine(layout, "blobs", "sha256", layer), layer));
    }

    private static string Next(string version)
    {
        var parts = version.Split('.');
        return $"{parts[0]}.{parts[1]}.{int.Parse(parts[2]) + 1}";
    }

    private static JsonElement Parse(string json) => JsonElement.Parse(json);
}
