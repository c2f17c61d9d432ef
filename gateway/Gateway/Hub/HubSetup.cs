using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using RenderTrust.Gateway.Blobs;

namespace RenderTrust.Gateway.Hub;

internal static class HubSetup
{
    /// <summary>The mutual-TLS listener for nodes, their streams, and the batches that go on to the scheduler.</summary>
    public static WebApplicationBuilder AddHub(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<HubOptions>().BindConfiguration(HubOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = 4 * 1024 * 1024;
            grpc.EnableDetailedErrors = false;
        });
        builder.Services.AddSingleton<NodeSessions>();
        builder.Services.AddSingleton<HubCertificates>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<HubCertificates>());
        builder.Services.AddSingleton<NodeReports>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<NodeReports>());
        builder.Services.AddHostedService<EndRevokedNodes>();
        builder.Services.AddSingleton<ConnectNode>();
        var options = builder.Configuration.GetSection(HubOptions.Section).Get<HubOptions>() ?? new HubOptions();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Parse(options.ListenAddress), options.Port, listen =>
        {
            listen.Protocols = HttpProtocols.Http1AndHttp2;
            listen.UseHttps(https =>
            {
                var certificates = kestrel.ApplicationServices.GetRequiredService<HubCertificates>();
                https.ServerCertificateSelector = (_, _) => certificates.Server;
                https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
                // Refused in the handshake: a stranger never reaches a route.
                https.ClientCertificateValidation = (certificate, _, _) => certificates.TryIdentify(certificate, out _);
            });
        }));
        return builder;
    }

    public static void MapHub(this WebApplication app)
    {
        // Authorised by the client certificate, which ConnectNode reads; the policies here are for people and services.
        app.MapGrpcService<ConnectNode>().AllowAnonymous();
        OfferLease.Map(app);
        app.Lifetime.ApplicationStopping.Register(() => app.Services.GetRequiredService<NodeSessions>().EndAll("The hub is stopping."));
        NodeBlobs.Map(app);
    }
}
