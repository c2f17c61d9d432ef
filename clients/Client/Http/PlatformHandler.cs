using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace RenderTrust.Client.Http;

/// <summary>The connection to the platform: one pool, and trust in the pinned platform CA beside the machine's own roots.</summary>
internal static class PlatformHandler
{
    public static SocketsHttpHandler Create(X509Certificate2? platformCa)
    {
        var handler = new SocketsHttpHandler
        {
            // A redirect would carry proofs made for another address, and tokens must not leave the gateway's origin.
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            EnableMultipleHttp2Connections = true,
            UseCookies = false,

            // Traces are carried by DpopHandler: a span per request of HttpClient's would be a parent that nobody keeps.
            ActivityHeadersPropagator = null,
        };
        if (platformCa is not null)
        {
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                errors == SslPolicyErrors.None || (errors == SslPolicyErrors.RemoteCertificateChainErrors && IsUnder(platformCa, certificate, chain));
        }

        return handler;
    }

    /// <summary>For the one request that fetches the CA when its fingerprint is known: the answer is checked instead of the connection.</summary>
    [SuppressMessage("Security", "CA5359:Do Not Disable Certificate Validation", Justification = "What is fetched is public and accepted only if it has the fingerprint given by the user.")]
    public static SocketsHttpHandler CreateForPinning()
    {
        var handler = Create(platformCa: null);
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        return handler;
    }

    private static bool IsUnder(X509Certificate2 root, X509Certificate? certificate, X509Chain? presented)
    {
        if (certificate is not X509Certificate2 leaf)
        {
            return false;
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(root);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        if (presented is not null)
        {
            chain.ChainPolicy.ExtraStore.AddRange(presented.ChainElements.Select(element => element.Certificate).ToArray());
        }

        return chain.Build(leaf);
    }
}
