using System.Text;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>What an instance may be called. The Dapr API is stricter than the workers' own protocol, as with daprd.</summary>
internal static class InstanceIds
{
    public const int DaprLengthMax = 64;

    /// <summary>An index entry must hold the id.</summary>
    private const int BytesMax = 1024;

    /// <summary>Null when the id may be used.</summary>
    public static string? Problem(string id) =>
        id.Length == 0 ? "The instance id is empty. Give one."
        : Encoding.UTF8.GetByteCount(id) is var bytes and > BytesMax ? $"The instance id has {bytes} bytes (limit {BytesMax}). Use a shorter one."
        : id.Contains("||", StringComparison.Ordinal) ? $"Instance id '{id}' contains '||', which separates the parts of keys. Use another separator."
        : id.Contains('\0', StringComparison.Ordinal) ? "The instance id contains a NUL character. Leave it out."
        : null;

    /// <summary>Letters, digits, dashes and underscores.</summary>
    public static bool IsDaprId(string id) => id.All(c => char.IsLetterOrDigit(c) || c is '-' or '_');
}
