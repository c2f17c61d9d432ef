using System.Reflection;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;

namespace Dapr.Workflow.Client;

/// <summary>The connection with the app's sidecar; every call shows the token.</summary>
internal sealed class SidecarChannel : IDisposable
{
    private static readonly string UserAgent = $"rendertrust-workflow/{typeof(SidecarChannel).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0]}";
    private readonly GrpcChannel channel;

    public SidecarChannel(GrpcChannel channel, string? token)
    {
        this.channel = channel;
        Calls = new Wire.TaskHubSidecarService.TaskHubSidecarServiceClient(channel.Intercept(metadata =>
        {
            metadata.Add("user-agent", UserAgent);
            if (!string.IsNullOrEmpty(token))
            {
                metadata.Add("dapr-api-token", token);
            }

            return metadata;
        }));
    }

    public string Address => channel.Target;

    public Wire.TaskHubSidecarService.TaskHubSidecarServiceClient Calls { get; }

    /// <summary>
    /// Address and token come from DAPR_GRPC_ENDPOINT, DAPR_GRPC_PORT (default 50001) and DAPR_API_TOKEN, first from the configuration and then from
    /// the environment.
    /// </summary>
    public static SidecarChannel Open(IConfiguration? configuration, GrpcChannelOptions? options)
    {
        var environment = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        string? Setting(string name) => configuration?[name] is { Length: > 0 } value ? value : environment[name] is { Length: > 0 } other ? other : null;

        var address = Setting("DAPR_GRPC_ENDPOINT") ?? $"http://127.0.0.1:{Setting("DAPR_GRPC_PORT") ?? "50001"}";
        return new SidecarChannel(GrpcChannel.ForAddress(address, options ?? NewOptions()), Setting("DAPR_API_TOKEN"));
    }

    public static GrpcChannelOptions NewOptions() => new()
    {
        // Histories may be as large as the sidecar's own limit allows.
        MaxReceiveMessageSize = null,
        MaxSendMessageSize = null,
        // By default a channel that has failed a few times keeps failing for up to two minutes without trying, long after the sidecar is back.
        InitialReconnectBackoff = TimeSpan.FromMilliseconds(100),
        MaxReconnectBackoff = TimeSpan.FromSeconds(2),
    };

    public void Dispose() => channel.Dispose();
}
