using RenderTrust.Sidecar.Workflows;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>r raised, s suspended, u resumed, t terminated: what of an inbox goes into the next turn.</summary>
public sealed class InboxRulesTests
{
    [Theory]
    [InlineData("", false, "")]
    [InlineData("rr", false, "rr")]
    [InlineData("rsr", false, "rs")]
    [InlineData("srut", false, "s")]
    [InlineData("rtr", false, "rt")]
    [InlineData("tsr", false, "t")]
    [InlineData("rr", true, "")]
    [InlineData("rs", true, "")]
    [InlineData("u", true, "u")]
    [InlineData("rur", true, "urr")]
    [InlineData("srur", true, "surr")]
    [InlineData("rusr", true, "urs")]
    [InlineData("rut", true, "t")]
    [InlineData("rt", true, "t")]
    public void A_turn_ends_with_what_workers_look_for_at_its_end(string inbox, bool isSuspended, string expected)
    {
        var picked = InboxRules.Pick([.. inbox.Select(Message)], isSuspended);

        Assert.Equal(expected, string.Concat(picked.Select(Letter)));
    }

    private static Message Message(char letter) => new(letter switch
    {
        'r' => new HistoryEvent { EventRaised = new EventRaisedEvent() },
        's' => new HistoryEvent { ExecutionSuspended = new ExecutionSuspendedEvent() },
        'u' => new HistoryEvent { ExecutionResumed = new ExecutionResumedEvent() },
        _ => new HistoryEvent { ExecutionTerminated = new ExecutionTerminatedEvent() },
    });

    private static char Letter(Message message) => message.Event.EventTypeCase switch
    {
        HistoryEvent.EventTypeOneofCase.EventRaised => 'r',
        HistoryEvent.EventTypeOneofCase.ExecutionSuspended => 's',
        HistoryEvent.EventTypeOneofCase.ExecutionResumed => 'u',
        _ => 't',
    };
}
