using Dapr.Workflow;

namespace RenderTrust.Workflow.Tests;

public sealed class PolicyTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void A_policy_has_the_official_defaults()
    {
        var policy = new WorkflowRetryPolicy(3, Second);

        Assert.Equal((3, Second, 1.0, TimeSpan.FromHours(1), Timeout.InfiniteTimeSpan),
            (policy.MaxNumberOfAttempts, policy.FirstRetryInterval, policy.BackoffCoefficient, policy.MaxRetryInterval, policy.RetryTimeout));
    }

    [Theory]
    [InlineData(0, 1, 1, null, null, "maxNumberOfAttempts")]
    [InlineData(1, 0, 1, null, null, "firstRetryInterval")]
    [InlineData(1, 1, 0.5, null, null, "backoffCoefficient")]
    [InlineData(1, 7200, 1, null, null, "maxRetryInterval")]
    [InlineData(1, 10, 1, 9, null, "maxRetryInterval")]
    [InlineData(1, 10, 1, null, 9, "retryTimeout")]
    public void A_policy_with_wrong_bounds_is_refused(int attempts, int firstSeconds, double coefficient, int? maxSeconds, int? timeoutSeconds, string parameter)
    {
        var refused = Assert.Throws<ArgumentOutOfRangeException>(() => new WorkflowRetryPolicy(
            attempts, Second * firstSeconds, coefficient, maxSeconds is { } max ? Second * max : null, timeoutSeconds is { } timeout ? Second * timeout : null));

        Assert.Equal(parameter, refused.ParamName);
    }

    [Fact]
    public void Failure_details_know_derived_exceptions()
    {
        var details = new WorkflowTaskFailureDetails("System.IO.FileNotFoundException", "gone");

        Assert.True(details.IsCausedBy<IOException>());
        Assert.True(details.IsCausedBy<FileNotFoundException>());
        Assert.False(details.IsCausedBy<InvalidOperationException>());
        Assert.False(new WorkflowTaskFailureDetails("WorkflowNotFound", "x").IsCausedBy<Exception>());
    }
}
