using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Identity;

internal sealed class IdentityOptions
{
    public const string Section = "Identity";

    /// <summary>Folder (mode 0700) of the CA's and the signing keys, outside the database. Made at the first start; back it up: without it no node can be enrolled under the same CA.</summary>
    [Required(ErrorMessage = "Identity:KeyDirectory is not set. Name a folder outside the database that only this service can read, for example /var/lib/rendertrust/identity.")]
    public string KeyDirectory { get; set; } = "";

    /// <summary>Where nodes connect. Default: the single box.</summary>
    [Required]
    public string HubUrl { get; set; } = "https://127.0.0.1:8444";

    /// <summary>Whether anybody may register. Default: in Development only.</summary>
    public bool? OpenRegistration { get; set; }

    /// <summary>Origins that clients call the gateway by: a DPoP proof for the token endpoint must name one of them. Unless set, the origin that the gateway forwards counts.</summary>
    public IList<string> PublicUrls { get; } = [];

    /// <summary>Life of an access token. Default 24 h.</summary>
    [Range(60, 86_400)]
    public int AccessTokenSeconds { get; set; } = 86_400;

    /// <summary>Life of the token that an API key is exchanged for, inside the platform. Default 300 s.</summary>
    [Range(10, 3600)]
    public int InternalTokenSeconds { get; set; } = 300;

    /// <summary>Life of a browser's session. Default 12 h: a working day.</summary>
    [Range(1, 720)]
    public int SessionHours { get; set; } = 12;

    /// <summary>Life of a node's certificate. Default 365 days.</summary>
    [Range(1, 3650)]
    public int NodeCertificateDays { get; set; } = 365;

    /// <summary>Life of the hub's certificate; the gateway asks for a new one at its start. Default 30 days.</summary>
    [Range(1, 365)]
    public int ServerCertificateDays { get; set; } = 30;

    /// <summary>Life of a key statement. Default 7 days: long enough for a queued job, short enough to drop a revoked node.</summary>
    [Range(1, 90)]
    public int KeyStatementDays { get; set; } = 7;
}
