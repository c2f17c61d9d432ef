using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>
/// Which messages go into the next turn, in which order. Workers look at the last event only to see whether they are
/// suspended or terminated, so a turn ends with that event; whatever came after it waits.
/// </summary>
internal static class InboxRules
{
    /// <returns>Empty when there is nothing that may be told now.</returns>
    public static IReadOnlyList<Message> Pick(IReadOnlyList<Message> inbox, bool isSuspended)
    {
        var terminated = IndexOf(inbox, HistoryEvent.EventTypeOneofCase.ExecutionTerminated);
        if (!isSuspended)
        {
            var end = IndexOf(inbox, HistoryEvent.EventTypeOneofCase.ExecutionSuspended);
            end = terminated >= 0 && (end < 0 || terminated < end) ? terminated : end;
            return end < 0 ? [.. inbox] : [.. inbox.Take(end + 1)];
        }

        if (terminated >= 0)
        {
            return [inbox[terminated]];
        }

        var resumed = IndexOf(inbox, HistoryEvent.EventTypeOneofCase.ExecutionResumed);
        if (resumed < 0)
        {
            return [];
        }

        // Repeated requests to suspend that came before the resume are over with it.
        var picked = inbox.Take(resumed).Where(IsSuspend).Append(inbox[resumed]).ToList();
        foreach (var held in inbox.Where((message, index) => index > resumed || !IsSuspend(message)))
        {
            if (held == inbox[resumed])
            {
                continue;
            }

            picked.Add(held);
            if (IsSuspend(held))
            {
                break;
            }
        }

        return picked;
    }

    private static bool IsSuspend(Message message) => message.Event.EventTypeCase == HistoryEvent.EventTypeOneofCase.ExecutionSuspended;

    private static int IndexOf(IReadOnlyList<Message> inbox, HistoryEvent.EventTypeOneofCase kind)
    {
        for (var i = 0; i < inbox.Count; i++)
        {
            if (inbox[i].Event.EventTypeCase == kind)
            {
                return i;
            }
        }

        return -1;
    }
}
