using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway;

/// <summary>Where the gateway listens and how it is called from outside.</summary>
internal sealed class GatewayOptions
{
    public const string Section = "Gateway";

    /// <summary>The address that clients use: in the agent card, and in the proofs they sign. Its port is listened on.</summary>
    [Required, Url]
    public string PublicUrl { get; set; } = "http://127.0.0.1:8080";

    /// <summary>Other addresses that lead here (a tunnel, the TLS port), accepted in proofs as well.</summary>
    public IList<string> OtherUrls { get; } = [];

    /// <summary>Address to bind instead of the one in <see cref="PublicUrl"/>, such as http://0.0.0.0:8080 behind a proxy.</summary>
    public string? ListenUrl { get; set; }

    /// <summary>Port for TLS; 0 leaves it off. Needs <see cref="TlsCertificatePath"/>.</summary>
    [Range(0, 65535)]
    public int TlsPort { get; set; }

    /// <summary>PEM certificate chain for <see cref="TlsPort"/>.</summary>
    public string? TlsCertificatePath { get; set; }

    /// <summary>PEM private key for <see cref="TlsPort"/>.</summary>
    public string? TlsKeyPath { get; set; }

    /// <summary>Every scheme and authority that a proof may name. A loopback address has several names, all of which mean this machine.</summary>
    public IEnumerable<string> Origins()
    {
        foreach (var url in OtherUrls.Prepend(PublicUrl))
        {
            var uri = new Uri(url);
            yield return uri.GetLeftPart(UriPartial.Authority);
            if (uri.IsLoopback)
            {
                foreach (var name in LoopbackNames.Where(name => name != uri.Host))
                {
                    yield return $"{uri.Scheme}://{name}:{uri.Port}";
                }
            }
        }
    }

    private static readonly string[] LoopbackNames = ["127.0.0.1", "localhost", "[::1]"];
}
