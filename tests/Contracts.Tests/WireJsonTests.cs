using System.Text.Json;

namespace RenderTrust.Contracts.Tests;

public sealed class WireJsonTests
{
    [Fact]
    public void What_one_part_writes_with_nulls_the_other_reads()
    {
        var response = new SubmitJobResponse(SubmitOutcome.UnknownModule, null, 0, 0, null);
        var list = new JobList([], null);

        Assert.Equal(response, RoundTrip(response));
        Assert.Null(RoundTrip(list).NextCursor);
    }

    [Fact]
    public void A_missing_member_that_may_not_be_null_is_refused()
    {
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<JobList>("{}", WireJson.Options));
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<JobList>("""{"jobs":null}""", WireJson.Options));
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<SubmitJobResponse>("{}", WireJson.Options));
    }

    private static T RoundTrip<T>(T value) => JsonSerializer.Deserialize<T>(JsonSerializer.Serialize(value, WireJson.Options), WireJson.Options)!;
}
