using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.Auth;

internal sealed class EdgeAuthOptions
{
    public const string Section = "Gateway:Auth";

    /// <summary>Seconds for which the answer about an API key or a browser's session is believed; revocations are looked up besides, so this bounds only expiry and scopes.</summary>
    [Range(1, 60)]
    public int ApiKeyCacheSeconds { get; set; } = 3;

    /// <summary>State store that remembers proofs already used, shared by all replicas.</summary>
    [Required]
    public string ReplayStore { get; set; } = "cache";
}
