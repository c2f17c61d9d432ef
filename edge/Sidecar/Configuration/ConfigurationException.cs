namespace RenderTrust.Sidecar.Configuration;

/// <summary>A file that the user wrote and that cannot be used. The message is what an editor can jump to: <c>file:line: field: what, value, remedy</c>.</summary>
internal sealed class ConfigurationException(string file, long line, string field, string what, string? value, string remedy)
    : Exception($"{file}:{line}: {field}: {what}{(value is null ? "" : $", '{value}'")}, {remedy}")
{
    public string File { get; } = file;
    public long Line { get; } = line;
    public string Field { get; } = field;
}
