using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform.Brokers;

namespace RenderTrust.Cli.Tests;

public sealed class BrokerChoiceTests
{
    [Theory]
    [InlineData(null, null, false, "redis")]
    [InlineData("rabbitmq", null, false, "rabbitmq")]
    [InlineData(null, "rabbitmq", true, "rabbitmq")]
    [InlineData(null, "rabbitmq", false, "rabbitmq")]
    [InlineData("rabbitmq", "rabbitmq", true, "rabbitmq")]
    [InlineData("redis", "rabbitmq", false, "redis")]
    public void A_platform_runs_on_what_was_asked_for_else_on_what_it_had_else_on_redis(string? asked, string? earlier, bool isRunning, string expected) =>
        Assert.Equal(expected, BrokerChoice.Decide(asked, earlier, isRunning));

    [Theory]
    [InlineData("kafka", null, false, "'redis' or 'rabbitmq'")]
    [InlineData("rabbitmq", "redis", true, "broker swap rabbitmq")]
    public void Another_broker_and_one_that_is_swapped_under_running_services_are_refused_with_the_way_out(string asked, string? earlier, bool isRunning, string says)
    {
        var refused = Assert.Throws<CliException>(() => BrokerChoice.Decide(asked, earlier, isRunning));

        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(asked, refused.Message, StringComparison.Ordinal);
        Assert.Contains(says, refused.Message, StringComparison.Ordinal);
    }
}
