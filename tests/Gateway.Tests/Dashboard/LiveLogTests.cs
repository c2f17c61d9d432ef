using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Dashboard;
using RenderTrust.Gateway.Dashboard.Live;

namespace RenderTrust.Gateway.Tests.Dashboard;

public sealed class LiveLogTests
{
    private readonly LiveLog _log = new(Options.Create(new DashboardOptions { RememberedEvents = 10 }));
    private readonly TenantId _tenant = TenantId.New();

    [Fact]
    public void A_reader_gets_its_tenants_events_after_its_place_each_once()
    {
        var start = _log.End;
        _log.Append([Event(1), Event(1, TenantId.New()), Event(2)]);

        var first = _log.Read(_tenant, start, 1);
        var second = _log.Read(_tenant, first.Place, 10);
        var third = _log.Read(_tenant, second.Place, 10);

        Assert.Equal([1L], first.Events.Select(e => e.Seq));
        Assert.Equal([2L], second.Events.Select(e => e.Seq));
        Assert.Empty(third.Events);
        Assert.Equal((true, false, false), (first.HasMore, second.HasMore, third.IsLost));
    }

    [Fact]
    public void Who_was_away_for_longer_than_is_remembered_has_lost_its_place()
    {
        var start = _log.End;
        _log.Append([.. Enumerable.Range(1, 10).Select(seq => Event(seq))]);
        Assert.Equal(10, _log.Read(_tenant, start, 100).Events.Count);

        _log.Append([Event(11)]);

        var read = _log.Read(_tenant, start, 100);
        Assert.True(read.IsLost);
        Assert.Equal(_log.End, read.Place);
    }

    [Fact]
    public void Places_of_another_start_or_from_the_future_are_lost()
    {
        _log.Append([Event(1)]);
        var end = _log.End;

        Assert.True(_log.Read(_tenant, end with { Epoch = "other" }, 10).IsLost);
        Assert.True(_log.Read(_tenant, end with { Position = end.Position + 1 }, 10).IsLost);
        _log.Restart();
        Assert.True(_log.Read(_tenant, end, 10).IsLost);
    }

    [Fact]
    public async Task A_reader_is_woken_by_events_by_an_outage_and_by_its_end()
    {
        var news = _log.Next;
        _log.Append([Event(1)]);
        await news;
        news = _log.Next;
        _log.Fail();
        await news;
        Assert.True(_log.IsStale);
        news = _log.Next;

        _log.Append([]);

        await news;
        Assert.False(_log.IsStale);
    }

    [Fact]
    public void Outputs_are_not_remembered()
    {
        var start = _log.End;
        _log.Append([Event(1) with { Body = new JobEventBody(UnitIndex: 3, Outputs: [new UnitOutput(Guid.NewGuid(), new string('a', 64), 1, new string('b', 64), [])]) }]);

        var body = Assert.Single(_log.Read(_tenant, start, 10).Events).Body;

        Assert.Equal((3, null), (body.UnitIndex, body.Outputs));
    }

    [Theory]
    [InlineData("abc.7", true)]
    [InlineData("abc.", false)]
    [InlineData(".7", false)]
    [InlineData("abc.-7", false)]
    [InlineData("abc", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void Only_places_are_read_as_places(string? text, bool isPlace) => Assert.Equal(isPlace, LivePlace.TryParse(text, out _));

    private JobEvent Event(long seq, TenantId? tenant = null) => new(
        TaskId.New(), JobId.New(), tenant ?? _tenant, "context", seq, JobEventKind.UnitCompleted, DateTimeOffset.UnixEpoch, new JobEventBody(UnitIndex: (int)seq));
}
