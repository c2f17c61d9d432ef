namespace RenderTrust.A2A;

/// <summary>What the protocol itself demands of a request, whatever the agent does.</summary>
internal static class RequestRules
{
    public static T Checked<T>(T request)
    {
        var violations = Violations(request!).ToList();
        return violations.Count == 0 ? request : throw new A2AErrorException(A2AError.InvalidParams(violations));
    }

    private static IEnumerable<FieldViolation> Violations(object request) => request switch
    {
        SendMessageRequest send => Send(send),
        GetTaskRequest get => Id(get.Id).Concat(History(get.HistoryLength, "historyLength")),
        CancelTaskRequest cancel => Id(cancel.Id),
        SubscribeToTaskRequest subscribe => Id(subscribe.Id),
        ListTasksRequest list => List(list),
        _ => [],
    };

    private static IEnumerable<FieldViolation> Send(SendMessageRequest request)
    {
        foreach (var violation in History(request.Configuration?.HistoryLength, "configuration.historyLength"))
        {
            yield return violation;
        }

        if (request.Message is not { } message)
        {
            yield return new("message", "is required.");
            yield break;
        }

        if (message.MessageId.Length == 0)
        {
            yield return new("message.messageId", "is required and must not be empty.");
        }

        if (message.Role is not Role.User)
        {
            yield return new("message.role", "must be ROLE_USER in a message to an agent.");
        }

        if (message.Parts.Count == 0)
        {
            yield return new("message.parts", "needs at least one part.");
        }

        for (var index = 0; index < message.Parts.Count; index++)
        {
            if (message.Parts[index] is not { } part)
            {
                yield return new($"message.parts[{index}]", "is null.");
            }
            else if (part.ContentCount != 1)
            {
                yield return new($"message.parts[{index}]", $"must have exactly one of text, raw, url and data; it has {part.ContentCount}.");
            }
        }
    }

    private static IEnumerable<FieldViolation> List(ListTasksRequest request)
    {
        foreach (var violation in History(request.HistoryLength, "historyLength"))
        {
            yield return violation;
        }

        if (request.PageSize is < 1 or > 100)
        {
            yield return new("pageSize", $"is {request.PageSize}; it must be between 1 and 100.");
        }
    }

    private static IEnumerable<FieldViolation> Id(string id)
    {
        if (id.Length == 0)
        {
            yield return new("id", "is required and must not be empty.");
        }
    }

    private static IEnumerable<FieldViolation> History(int? length, string field)
    {
        if (length < 0)
        {
            yield return new(field, $"is {length}; it must be zero or more.");
        }
    }
}
