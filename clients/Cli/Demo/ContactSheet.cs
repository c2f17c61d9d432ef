using SkiaSharp;

namespace RenderTrust.Cli.Demo;

/// <summary>All frames of a job on one picture, in order, with their names.</summary>
internal static class ContactSheet
{
    private const int Gap = 14;
    private const int CaptionHeight = 26;
    private const int HeaderHeight = 58;

    public static void Write(string path, string title, IReadOnlyList<(string Name, string File)> frames)
    {
        using var first = SKBitmap.Decode(frames[0].File) ?? throw new Output.CliException($"{frames[0].File} is not a picture that can be read.");
        var columns = frames.Count % 4 == 0 ? Math.Min(4, frames.Count) : (int)Math.Ceiling(Math.Sqrt(frames.Count));
        var rows = (frames.Count + columns - 1) / columns;
        var width = Math.Min(first.Width, 480);
        var height = (int)Math.Round(first.Height * (double)width / first.Width);
        using var surface = SKSurface.Create(new SKImageInfo(Gap + columns * (width + Gap), HeaderHeight + rows * (height + CaptionHeight + Gap)));
        var canvas = surface.Canvas;
        canvas.Clear(new SKColor(0x12, 0x14, 0x1a));
        using var typeface = FindTypeface();
        using var titleFont = new SKFont(typeface, 22);
        using var captionFont = new SKFont(typeface, 14);
        using var bright = new SKPaint { Color = new SKColor(0xf2, 0xee, 0xe6), IsAntialias = true };
        using var dim = new SKPaint { Color = new SKColor(0x9a, 0xa2, 0xb1), IsAntialias = true };
        canvas.DrawText(title, Gap, 38, SKTextAlign.Left, titleFont, bright);
        for (var index = 0; index < frames.Count; index++)
        {
            var x = Gap + index % columns * (width + Gap);
            var y = HeaderHeight + index / columns * (height + CaptionHeight + Gap);
            using var bitmap = SKBitmap.Decode(frames[index].File) ?? throw new Output.CliException($"{frames[index].File} is not a picture that can be read.");
            using var image = SKImage.FromBitmap(bitmap);
            canvas.DrawImage(image, new SKRect(x, y, x + width, y + height), new SKSamplingOptions(SKCubicResampler.Mitchell));
            canvas.DrawText(frames[index].Name, x, y + height + 18, SKTextAlign.Left, captionFont, dim);
        }

        using var snapshot = surface.Snapshot();
        using var data = snapshot.Encode(SKEncodedImageFormat.Png, 100);
        using var file = File.Create(path);
        data.SaveTo(file);
    }

    /// <summary>From a file, because the drawing library's portable build knows no font configuration. Without any font the sheet has no captions.</summary>
    private static SKTypeface FindTypeface()
    {
        const string fonts = "/usr/share/fonts";
        var file = Directory.Exists(fonts)
            ? Directory.EnumerateFiles(fonts, "*.ttf", SearchOption.AllDirectories)
                .OrderByDescending(path => Path.GetFileName(path) is "DejaVuSans.ttf" or "LiberationSans-Regular.ttf").ThenBy(path => path, StringComparer.Ordinal).FirstOrDefault()
            : null;
        return (file is null ? null : SKTypeface.FromFile(file)) ?? SKTypeface.Default;
    }
}
