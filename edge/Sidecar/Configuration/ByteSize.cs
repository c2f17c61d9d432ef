using System.Globalization;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Sizes as Dapr writes them: bytes, or a number with K, M, G (thousands) or Ki, Mi, Gi (1024s), with or without a B.</summary>
internal static class ByteSize
{
    public static bool TryParse(string text, out long bytes)
    {
        var digits = text.AsSpan().TrimEnd("KMGiB");
        long? unit = text.AsSpan()[digits.Length..] switch
        {
            "" => 1,
            "K" or "KB" => 1000,
            "Ki" or "KiB" => 1024,
            "M" or "MB" => 1_000_000,
            "Mi" or "MiB" => 1024 * 1024,
            "G" or "GB" => 1_000_000_000,
            "Gi" or "GiB" => 1024L * 1024 * 1024,
            _ => null,
        };
        bytes = 0;
        if (unit is not { } scale || !long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > long.MaxValue / scale)
        {
            return false;
        }

        bytes = number * scale;
        return true;
    }
}
