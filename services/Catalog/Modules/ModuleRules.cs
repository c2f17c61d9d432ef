using System.Text.RegularExpressions;
using RenderTrust.Contracts;

namespace RenderTrust.Catalog;

/// <summary>Whether something may be published at all: pure functions over the request. Null = yes, else cause and remedy.</summary>
internal static partial class ModuleRules
{
    public const int MaxWords = 20;
    public const int MaxWordCharacters = 500;

    public static string? RefuseForm(PublishModuleRequest request)
    {
        if (!TryOrder(request.Version, out _))
        {
            return $"Version '{request.Version}' must be three numbers up to 999999999 without leading zeros, for example 1.0.0.";
        }

        if (!ImageReference().IsMatch(request.Runtime.ImageReference))
        {
            return $"Image reference '{request.Runtime.ImageReference}' must be a repository in lower case without tag or digest, for example registry.example:5000/studio/povray. The digest has a member of its own.";
        }

        var words = (request.Tags ?? []).Concat(request.Examples ?? []).ToList();
        return request.Tags is { Count: > MaxWords } || request.Examples is { Count: > MaxWords } || words.Any(word => word is null or { Length: 0 or > MaxWordCharacters })
            ? $"At most {MaxWords} tags and {MaxWords} examples of 1 to {MaxWordCharacters} characters each are possible."
            : null;
    }

    public static string? RefuseRate(PublishModuleRequest request, ModuleOptions options)
    {
        var floor = options.NodeRate(request.Runtime.DeviceKind);
        if (request.RatePerMinuteMicrocredits < floor)
        {
            return $"The rate of {request.RatePerMinuteMicrocredits} µcr per minute is below what a {request.Runtime.DeviceKind.ToString().ToUpperInvariant()} node earns ({floor}). Publish with at least {floor}.";
        }

        return request.RatePerMinuteMicrocredits > options.MaxRatePerMinuteMicrocredits
            ? $"The rate of {request.RatePerMinuteMicrocredits} µcr per minute is above the limit of {options.MaxRatePerMinuteMicrocredits}."
            : null;
    }

    /// <summary>By number: 1.10.0 comes after 1.9.0.</summary>
    public static bool TryOrder(string version, out int[] order)
    {
        var parts = version.Split('.');
        order = new int[3];
        for (var index = 0; index < 3; index++)
        {
            var part = parts.Length == 3 ? parts[index] : "";
            if (part.Length is 0 or > 9 || (part.Length > 1 && part[0] == '0') || !part.All(char.IsAsciiDigit))
            {
                return false;
            }

            order[index] = int.Parse(part);
        }

        return true;
    }

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9.-]{0,252}(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*){1,16}\z")]
    private static partial Regex ImageReference();
}
