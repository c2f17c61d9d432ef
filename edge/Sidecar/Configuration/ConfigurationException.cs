namespace RenderTrust.Sidecar.Configuration;

/// <summary>A file that the user wrote and that cannot be used. The message is one line that an editor can jump to: <c>file:line: field: what, value, remedy</c>.</summary>
internal sealed class ConfigurationException(string file, long line, string field, string what, string? value, string remedy)
    : Exception($"{file}:{line}: {Shown(field)}: {Shown(what)}{(value is null ? "" : $", '{Shown(value)}'")}, {Shown(remedy)}")
{
    // A value can be a whole file that lacks a line break.
    private const int ShownMax = 300;

    public string File { get; } = file;
    public long Line { get; } = line;
    public string Field { get; } = field;

    private static string Shown(string text)
    {
        var cut = text.Length <= ShownMax ? text : $"{text.AsSpan(0, ShownMax)}… ({text.Length} characters)";
        return cut.Any(char.IsControl) ? string.Concat(cut.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : $"{c}")) : cut;
    }
}
