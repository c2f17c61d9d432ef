using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Traces;

/// <summary>A row of <c>job_spans</c>.</summary>
internal sealed record KeptSpan(
    string SpanId, string? ParentSpanId, string Service, string Name, DateTimeOffset StartedAt, double DurationMs, bool Failed, IReadOnlyDictionary<string, string> Attributes);

/// <summary>Puts spans under their parents. A span whose parent was not kept (a client that sends no spans, daprd's own) stands at the top.</summary>
internal static class TraceTree
{
    // Nobody's honest trace is deeper; JSON readers stop at 64.
    private const int Deepest = 24;

    /// <param name="spans">Oldest first.</param>
    public static IReadOnlyList<TraceSpan> Build(IReadOnlyList<KeptSpan> spans)
    {
        if (spans.Count == 0)
        {
            return [];
        }

        var start = spans[0].StartedAt;
        var known = spans.Select(span => span.SpanId).ToHashSet(StringComparer.Ordinal);
        var children = spans.Where(HasParent).ToLookup(span => span.ParentSpanId!, StringComparer.Ordinal);
        var placed = new HashSet<string>(StringComparer.Ordinal);
        var top = spans.Where(span => !HasParent(span)).SelectMany(span => Place(span, 1)).ToList();

        // Spans that name each other as parents, which only a liar's do, hang on nothing: each is shown for itself.
        top.AddRange(spans.Where(span => !placed.Contains(span.SpanId)).SelectMany(span => Place(span, 1)));
        return top;

        bool HasParent(KeptSpan span) => span.ParentSpanId is { } parent && parent != span.SpanId && known.Contains(parent);

        IEnumerable<TraceSpan> Place(KeptSpan span, int depth)
        {
            if (!placed.Add(span.SpanId))
            {
                return [];
            }

            var below = children[span.SpanId].SelectMany(child => Place(child, depth + 1)).ToList();
            var self = new TraceSpan(
                span.SpanId, span.ParentSpanId, span.Service, span.Name, Math.Round((span.StartedAt - start).TotalMilliseconds, 3), Math.Round(span.DurationMs, 3), span.Failed,
                span.Attributes, depth < Deepest ? below : []);
            return depth < Deepest ? [self] : [self, .. below];
        }
    }
}
