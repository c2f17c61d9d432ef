using System.Reflection;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;

namespace Dapr.Workflow.Client;

/// <summary>
/// The connection with the app's sidecar. Address and token come from DAPR_GRPC_ENDPOINT, DAPR_GRPC_PORT (default 50001) and DAPR_API_TOKEN,
/// first from the configuration and then from the environment.
/// </summary>
internal sealed class SidecarChannel : IDisposable
{
    private static readonly string UserAgent = "rendertrust-workflow/" + typeof(SidecarChannel).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
    private readonly GrpcChannel channel;

    public SidecarChannel(IConfiguration? configuration, GrpcChannelOptions? options)
    {
        var environment = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        string? Setting(string name) => configuration?[name] is { Length: > 0 } value ? value : environment[name] is { Length: > 0 } other ? other : null;

        Address = Setting("DAPR_GRPC_ENDPOINT") ?? $"http://127.0.0.1:{Setting("DAPR_GRPC_PORT") ?? "50001"}";
        channel = GrpcChannel.ForAddress(Address, options ?? new GrpcChannelOptions
        {
            ThrowOperationCanceledOnCancellation = true,
            // Histories may be as large as the sidecar's own limit allows.
            MaxReceiveMessageSize = null,
            MaxSendMessageSize = null,
        });
        var token = Setting("DAPR_API_TOKEN");
        Calls = new Wire.TaskHubSidecarService.TaskHubSidecarServiceClient(channel.Intercept(metadata =>
        {
            metadata.Add("user-agent", UserAgent);
            if (token is not null)
            {
                metadata.Add("dapr-api-token", token);
            }

            return metadata;
        }));
    }

    public string Address { get; }

    public Wire.TaskHubSidecarService.TaskHubSidecarServiceClient Calls { get; }

    public void Dispose() => channel.Dispose();
}
