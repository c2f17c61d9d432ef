using System.Diagnostics;
using Npgsql;

namespace RenderTrust.Postgres;

/// <summary>The trace that a message belongs to: noted with its row, taken up again when it is published, so that it goes out as the envelope's <c>traceparent</c>.</summary>
public static class OutboxTrace
{
    private static readonly ActivitySource Source = new("RenderTrust");

    /// <summary>For <c>outbox.trace_parent</c>; null where nothing is traced.</summary>
    public static string? CurrentParent => Activity.Current is { Recorded: true, IdFormat: ActivityIdFormat.W3C } activity ? activity.Id : null;

    /// <summary>For <c>outbox.trace_state</c>.</summary>
    public static string? CurrentState => Activity.Current is { Recorded: true } activity ? activity.TraceStateString : null;

    internal static ActivityContext? Read(NpgsqlDataReader reader, int ordinal) =>
        !reader.IsDBNull(ordinal) && ActivityContext.TryParse(reader.GetString(ordinal), reader.IsDBNull(ordinal + 1) ? null : reader.GetString(ordinal + 1), isRemote: true, out var context)
            ? context
            : null;

    internal static Activity? Start(string name, ActivityContext? parent) => parent is { } context ? Source.StartActivity(name, ActivityKind.Producer, context) : null;
}
