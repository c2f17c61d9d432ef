using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace RenderTrust.Contracts;

/// <summary>The A2A task of a job, derived from tenant and job by the server.</summary>
[JsonConverter(typeof(GuidIdConverter<TaskId>))]
public readonly record struct TaskId(Guid Value) : IGuidId<TaskId>
{
    public static TaskId Create(Guid value) => new(value);

    public static TaskId New() => new(Guid.CreateVersion7());

    // Declared here and not inherited: minimal APIs only find a public static TryParse on the type itself.
    public static bool TryParse([NotNullWhen(true)] string? text, IFormatProvider? provider, out TaskId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new TaskId(value);
        return parsed;
    }

    public override string ToString() => Value.ToString("D");
}
