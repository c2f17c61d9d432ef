using System.Text;
using System.Text.Json;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using RenderTrust.Sealing;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>Small real scenes, and jobs of them at a size that renders in no time.</summary>
internal static class Scenes
{
    public const int Width = 64;
    public const int Height = 36;

    public const string Ball =
        """
        #version 3.7;
        global_settings { assumed_gamma 1.0 }
        camera { location <0, 1, -4> look_at 0 }
        light_source { <5, 6, -5> rgb 1 }
        sphere { <sin(clock * 2 * pi), 0, 0>, 1 pigment { rgb <1, 0.4, 0.1> } }
        plane { y, -1 pigment { checker rgb 0.2 rgb 0.9 } }

        """;

    /// <summary>Works in the parser for a good second and then renders the ball: a unit that can be caught in the act.</summary>
    public const string Slow = Ball + "#declare I = 0;\n#while (I < 1500000)\n  #declare I = I + 1;\n#end\n";

    /// <summary>Good in the first half of its clock, an error of the scene itself after it.</summary>
    public const string BreaksHalfWay = Ball + "#if (clock >= 0.5)\n  #error \"half of it is missing\"\n#end\n";

    public static async Task<JobDraft> DraftAsync(RenderTrustClient creator, string scene, int frames, CancellationToken cancellationToken)
    {
        var module = await PovrayAsync(creator, cancellationToken);
        return new JobDraft
        {
            Module = module.Reference,
            Parameters = JsonSerializer.SerializeToElement(new { scene = "scene.pov", widthPixels = Width, heightPixels = Height }),
            Units = [.. Enumerable.Range(0, frames).Select(frame => JsonSerializer.SerializeToElement(new { frame, clock = (double)frame / frames }))],
            Assets = [new DraftAsset("", [AssetSource.FromBytes("scene.pov", Encoding.UTF8.GetBytes(scene))])],
            MaxUnitDeviceSeconds = 60,
            CapMicrocredits = Pricing.WorstCase(frames, 60, module.RatePerMinuteMicrocredits),
            DeadlineSeconds = 900,
        };
    }

    public static async Task<ModuleVersion> PovrayAsync(RenderTrustClient creator, CancellationToken cancellationToken) =>
        (await creator.Modules.ListAsync(cancellationToken)).Modules.Single(module => module.Name == "povray");
}

/// <summary>What a PNG says of itself in its first chunk.</summary>
internal static class Png
{
    public static (int Width, int Height) SizeOf(string file)
    {
        var bytes = File.ReadAllBytes(file);
        Assert.Equal([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], bytes[..8]);
        Assert.Equal("IEND", Encoding.ASCII.GetString(bytes, bytes.Length - 8, 4));
        return (System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(16)), System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(20)));
    }
}
