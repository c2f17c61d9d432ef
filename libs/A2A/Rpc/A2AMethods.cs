namespace RenderTrust.A2A;

/// <summary>Method names of the JSON-RPC binding, version 1.0.</summary>
public static class A2AMethods
{
    public const string SendMessage = "SendMessage";
    public const string SendStreamingMessage = "SendStreamingMessage";
    public const string GetTask = "GetTask";
    public const string ListTasks = "ListTasks";
    public const string CancelTask = "CancelTask";
    public const string SubscribeToTask = "SubscribeToTask";
    public const string CreateTaskPushNotificationConfig = "CreateTaskPushNotificationConfig";
    public const string GetTaskPushNotificationConfig = "GetTaskPushNotificationConfig";
    public const string ListTaskPushNotificationConfigs = "ListTaskPushNotificationConfigs";
    public const string DeleteTaskPushNotificationConfig = "DeleteTaskPushNotificationConfig";
    public const string GetExtendedAgentCard = "GetExtendedAgentCard";

    internal static IReadOnlySet<string> Current { get; } = new HashSet<string>(StringComparer.Ordinal)
    {
        SendMessage, SendStreamingMessage, GetTask, ListTasks, CancelTask, SubscribeToTask, CreateTaskPushNotificationConfig,
        GetTaskPushNotificationConfig, ListTaskPushNotificationConfigs, DeleteTaskPushNotificationConfig, GetExtendedAgentCard,
    };

    /// <summary>Version 0.3 has a grammar of its own, so its names can never be mistaken for those of 1.0.</summary>
    internal static bool IsLegacy(string method) => method is
        "message/send" or "message/stream" or "tasks/get" or "tasks/cancel" or "tasks/resubscribe"
        or "tasks/pushNotificationConfig/set" or "tasks/pushNotificationConfig/get" or "tasks/pushNotificationConfig/list"
        or "tasks/pushNotificationConfig/delete" or "agent/getAuthenticatedExtendedCard";
}

/// <summary>Header names and media types of the protocol.</summary>
public static class A2AHeaders
{
    public const string Version = "A2A-Version";
    public const string Extensions = "A2A-Extensions";
    public const string CurrentVersion = "1.0";
    public const string AgentCardPath = "/.well-known/agent-card.json";
}
