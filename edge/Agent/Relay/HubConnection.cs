using System.Net.Security;
using RenderTrust.Agent.Enrollment;

namespace RenderTrust.Agent.Relay;

/// <summary>Makes the mutually authenticated transport that stream and blobs share.</summary>
internal static class HubConnection
{
    public static SocketsHttpHandler Handler(NodeIdentity identity) => new()
    {
        SslOptions = new SslClientAuthenticationOptions
        {
            ClientCertificates = [identity.Certificate],
            CertificateChainPolicy = PlatformTrust.Policy(identity.Authority),
        },
        ConnectTimeout = TimeSpan.FromSeconds(10),
        EnableMultipleHttp2Connections = true,

        // A stream that is cut without a goodbye (sleeping laptop, moved NAT) is noticed by these pings.
        KeepAlivePingDelay = TimeSpan.FromSeconds(10),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
        UseProxy = false,

        // A unit's trace goes with its result, and with nothing else.
        ActivityHeadersPropagator = null,
    };
}
