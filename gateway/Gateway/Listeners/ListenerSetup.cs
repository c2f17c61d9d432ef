using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace RenderTrust.Gateway.Listeners;

internal static class ListenerSetup
{
    /// <summary>Opens the public port, and the TLS port if one is configured. The app port is opened by the service defaults.</summary>
    public static void AddPublicListener(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<GatewayOptions>().BindConfiguration(GatewayOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, kestrel.ApplicationServices.GetRequiredService<IOptions<GatewayOptions>>().Value));
    }

    private static void Listen(KestrelServerOptions kestrel, GatewayOptions options)
    {
        var address = new Uri(options.ListenUrl ?? options.PublicUrl);
        Bind(kestrel, address, listen => listen.Name(Listener.Public));
        if (options.TlsPort > 0)
        {
            var certificate = X509Certificate2.CreateFromPemFile(
                options.TlsCertificatePath ?? throw new InvalidOperationException("Gateway:TlsPort is set but Gateway:TlsCertificatePath is not. Name a PEM file, or set TlsPort to 0."),
                options.TlsKeyPath);
            Bind(kestrel, new UriBuilder(address) { Port = options.TlsPort }.Uri, listen =>
            {
                listen.Name(Listener.Public);
                listen.UseHttps(certificate);
            });
        }
    }

    private static void Bind(KestrelServerOptions kestrel, Uri address, Action<ListenOptions> configure)
    {
        if (address.Host == "localhost")
        {
            kestrel.ListenLocalhost(address.Port, configure);
        }
        else if (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip))
        {
            kestrel.Listen(ip, address.Port, configure);
        }
        else
        {
            // A host name is what clients call; which of this machine's addresses it means is not ours to guess.
            kestrel.ListenAnyIP(address.Port, configure);
        }
    }

    private static void Name(this ListenOptions listen, Listener listener) => listen.Use(next => connection =>
    {
        connection.Features.Set(new ListenerFeature(listener));
        return next(connection);
    });
}
