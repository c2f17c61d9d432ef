using RenderTrust.Contracts;
using RenderTrust.Scheduler.Traces;

namespace RenderTrust.Scheduler.Tests.Traces;

public sealed class TraceTreeTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Spans_stand_under_their_parents_in_the_order_of_their_beginning()
    {
        var tree = TraceTree.Build([Span("a", null, 0), Span("b", "a", 5), Span("c", "b", 6), Span("d", "a", 7)]);

        var root = Assert.Single(tree);
        Assert.Equal(("a", 0.0), (root.SpanId, root.OffsetMs));
        Assert.Equal(["b", "d"], root.Children.Select(child => child.SpanId));
        Assert.Equal(6, Assert.Single(root.Children[0].Children).OffsetMs);
    }

    [Fact]
    public void A_span_whose_parent_was_not_kept_stands_at_the_top()
    {
        var tree = TraceTree.Build([Span("a", "gone", 0), Span("b", "a", 1), Span("c", "also-gone", 2)]);

        Assert.Equal(["a", "c"], tree.Select(span => span.SpanId));
        Assert.Equal("b", Assert.Single(tree[0].Children).SpanId);
    }

    [Fact]
    public void Spans_that_name_each_other_or_themselves_as_parents_are_all_shown_once()
    {
        var tree = TraceTree.Build([Span("a", "b", 0), Span("b", "a", 1), Span("c", "c", 2)]);

        Assert.Equal(["a", "b", "c"], Flat(tree).Select(span => span.SpanId).Order());
    }

    [Fact]
    public void A_chain_of_any_length_is_no_deeper_than_readers_can_follow_and_loses_nothing()
    {
        var tree = TraceTree.Build([.. Enumerable.Range(0, 200).Select(index => Span($"s{index}", index == 0 ? null : $"s{index - 1}", index))]);

        Assert.Equal(200, Flat(tree).Count());
        Assert.InRange(Depth(tree), 1, 30);
    }

    [Fact]
    public void No_spans_are_no_tree() => Assert.Empty(TraceTree.Build([]));

    private static KeptSpan Span(string id, string? parent, double atMs) =>
        new(id, parent, "scheduler", id, Start.AddMilliseconds(atMs), 1, false, new Dictionary<string, string>());

    private static IEnumerable<TraceSpan> Flat(IEnumerable<TraceSpan> spans) => spans.SelectMany(span => Flat(span.Children).Prepend(span));

    private static int Depth(IEnumerable<TraceSpan> spans) => spans.Select(span => 1 + Depth(span.Children)).DefaultIfEmpty().Max();
}
