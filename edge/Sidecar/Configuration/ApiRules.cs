namespace RenderTrust.Sidecar.Configuration;

/// <param name="Name">As in the path: state, publish, invoke, secrets, actors, workflows…</param>
/// <param name="Version">v1.0, v1.0-alpha1 for HTTP; v1, v1alpha1 for gRPC.</param>
/// <param name="IsGrpc">Else HTTP.</param>
internal sealed record ApiRule(string Name, string Version, bool IsGrpc);

/// <summary>Which of the Dapr APIs an app may call: with a list of allowed ones only those, and never a denied one.</summary>
internal sealed record ApiRules(IReadOnlyList<ApiRule> Allowed, IReadOnlyList<ApiRule> Denied)
{
    private const string RpcPrefix = "/dapr.proto.runtime.v1.Dapr/";

    // daprd's names for what an rpc belongs to, by a word in the rpc's name. The first that fits decides.
    private static readonly (string Word, string Api)[] Rpcs =
    [
        ("Actor", "actors"), ("Workflow", "workflows"), ("InvokeService", "invoke"), ("InvokeBinding", "bindings"), ("Publish", "publish"), ("SubscribeTopic", "subscribe"),
        ("Secret", "secrets"), ("Configuration", "configuration"), ("TryLock", "lock"), ("Unlock", "unlock"), ("crypt", "crypto"), ("Subtle", "crypto"),
        ("Job", "jobs"), ("Converse", "conversation"), ("Metadata", "metadata"), ("Shutdown", "shutdown"), ("State", "state"),
    ];

    public static ApiRules Read(YamlMap api)
    {
        api.RefuseUnknown("allowed", "denied");
        return new ApiRules([.. api.Maps("allowed").Select(ReadRule)], [.. api.Maps("denied").Select(ReadRule)]);
    }

    public bool Allows(string path, bool isGrpc) => Find(path, isGrpc) is not { } call
        || (!Denied.Any(rule => rule == call) && (!Allowed.Any(rule => rule.IsGrpc == isGrpc) || Allowed.Any(rule => rule == call)));

    /// <summary>The API that a path belongs to; null for what is never closed: health, and what is no Dapr API.</summary>
    private static ApiRule? Find(string path, bool isGrpc)
    {
        if (isGrpc)
        {
            if (!path.StartsWith(RpcPrefix, StringComparison.Ordinal))
            {
                return null;
            }

            var rpc = path[RpcPrefix.Length..];
            var version = rpc.EndsWith("Alpha1", StringComparison.Ordinal) ? "v1alpha1" : rpc.EndsWith("Beta1", StringComparison.Ordinal) ? "v1beta1" : "v1";
            var found = Array.Find(Rpcs, entry => rpc.Contains(entry.Word, StringComparison.Ordinal));
            return found.Api is null ? null : new ApiRule(found.Api, version, IsGrpc: true);
        }

        var parts = path.Split('/', 4);
        return parts.Length >= 3 && parts[1].StartsWith("v1.0", StringComparison.Ordinal) && parts[2] != "healthz" ? new ApiRule(parts[2], parts[1], IsGrpc: false) : null;
    }

    private static ApiRule ReadRule(YamlMap rule)
    {
        rule.RefuseUnknown("name", "version", "protocol");
        var isGrpc = rule.RequireText("protocol", "write http or grpc").ToLowerInvariant() switch
        {
            "http" => false,
            "grpc" => true,
            var other => throw rule.Error("protocol", "is not known", other, "write http or grpc"),
        };
        return new ApiRule(rule.RequireText("name", "for example state"), rule.RequireText("version", isGrpc ? "for example v1" : "for example v1.0"), isGrpc);
    }
}
