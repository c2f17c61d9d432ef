using System.Text.Json;
using Dapr.Common;
using Dapr.Common.Serialization;
using Dapr.Workflow.Client;
using Dapr.Workflow.Serialization;
using Microsoft.Extensions.Configuration;

namespace Dapr.Workflow.Registration;

/// <summary>Makes a client with another endpoint, token or serializer than the app's own; usable without a service container.</summary>
/// <param name="configuration">Where the Dapr settings are looked up before the environment; null: only there.</param>
public sealed class DaprWorkflowClientBuilder(IConfiguration? configuration = null) : DaprGenericClientBuilder<DaprWorkflowClient>(configuration)
{
    private IDaprSerializer serializer = new JsonDaprSerializer();

    /// <summary>Takes another serializer.</summary>
    public DaprWorkflowClientBuilder UseSerializer(IWorkflowSerializer serializer)
    {
        ArgumentNullException.ThrowIfNull(serializer);
        return Use(serializer);
    }

    /// <summary>Keeps JSON, with other options.</summary>
    public DaprWorkflowClientBuilder UseJsonSerializer(JsonSerializerOptions jsonOptions)
    {
        ArgumentNullException.ThrowIfNull(jsonOptions);
        return Use(new JsonDaprSerializer(jsonOptions));
    }

    /// <summary>The client; it owns its connection.</summary>
    public override DaprWorkflowClient Build()
    {
        var (channel, http, _, token) = BuildDaprClientDependencies(typeof(DaprWorkflowClient).Assembly);
        // Only calls over HTTP would need it.
        http.Dispose();
        var sidecar = new SidecarChannel(channel, token);
        return new DaprWorkflowClient(sidecar.Calls, serializer, TimeProvider.System, sidecar);
    }

    internal DaprWorkflowClientBuilder Use(IDaprSerializer other)
    {
        serializer = other;
        return this;
    }
}
