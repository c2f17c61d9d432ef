using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

/// <summary>What an agent says about itself at <c>/.well-known/agent-card.json</c>.</summary>
public sealed record AgentCard
{
    public string Name { get; init; } = "";
    public string Description { get; init; } = "";

    /// <summary>The first entry is the preferred one.</summary>
    public IReadOnlyList<AgentInterface> SupportedInterfaces { get; init; } = [];
    public AgentProvider? Provider { get; init; }
    public string Version { get; init; } = "";
    public string? DocumentationUrl { get; init; }
    public AgentCapabilities Capabilities { get; init; } = new();
    public IReadOnlyDictionary<string, SecurityScheme>? SecuritySchemes { get; init; }

    /// <summary>Entries are alternatives; the names inside one entry are needed together.</summary>
    public IReadOnlyList<SecurityRequirement>? SecurityRequirements { get; init; }
    public IReadOnlyList<string> DefaultInputModes { get; init; } = [];
    public IReadOnlyList<string> DefaultOutputModes { get; init; } = [];
    public IReadOnlyList<AgentSkill> Skills { get; init; } = [];
    public IReadOnlyList<AgentCardSignature>? Signatures { get; init; }
    public string? IconUrl { get; init; }
}

public sealed record AgentInterface
{
    public string Url { get; init; } = "";
    public string ProtocolBinding { get; init; } = "";
    public string? Tenant { get; init; }
    public string ProtocolVersion { get; init; } = "";
}

public sealed record AgentProvider
{
    public string Url { get; init; } = "";
    public string Organization { get; init; } = "";
}

public sealed record AgentCapabilities
{
    public bool? Streaming { get; init; }
    public bool? PushNotifications { get; init; }
    public IReadOnlyList<AgentExtension>? Extensions { get; init; }
    public bool? ExtendedAgentCard { get; init; }
}

public sealed record AgentExtension
{
    public string? Uri { get; init; }
    public string? Description { get; init; }
    public bool? Required { get; init; }
    public JsonObject? Params { get; init; }
}

public sealed record AgentSkill
{
    public string Id { get; init; } = "";
    public string Name { get; init; } = "";
    public string Description { get; init; } = "";
    public IReadOnlyList<string> Tags { get; init; } = [];
    public IReadOnlyList<string>? Examples { get; init; }
    public IReadOnlyList<string>? InputModes { get; init; }
    public IReadOnlyList<string>? OutputModes { get; init; }
    public IReadOnlyList<SecurityRequirement>? SecurityRequirements { get; init; }
}

public sealed record AgentCardSignature
{
    public string Protected { get; init; } = "";
    public string Signature { get; init; } = "";
    public JsonObject? Header { get; init; }
}

public sealed record SecurityRequirement
{
    public IReadOnlyDictionary<string, StringList> Schemes { get; init; } = new Dictionary<string, StringList>();
}

public sealed record StringList
{
    public IReadOnlyList<string> List { get; init; } = [];
}

/// <summary>Exactly one member is set.</summary>
public sealed record SecurityScheme
{
    public ApiKeySecurityScheme? ApiKeySecurityScheme { get; init; }
    public HttpAuthSecurityScheme? HttpAuthSecurityScheme { get; init; }
    public OAuth2SecurityScheme? Oauth2SecurityScheme { get; init; }
    public OpenIdConnectSecurityScheme? OpenIdConnectSecurityScheme { get; init; }
    public MutualTlsSecurityScheme? MtlsSecurityScheme { get; init; }
}

public sealed record ApiKeySecurityScheme
{
    public string? Description { get; init; }
    public string Location { get; init; } = "";
    public string Name { get; init; } = "";
}

public sealed record HttpAuthSecurityScheme
{
    public string? Description { get; init; }
    public string Scheme { get; init; } = "";
    public string? BearerFormat { get; init; }
}

public sealed record OAuth2SecurityScheme
{
    public string? Description { get; init; }
    public OAuthFlows Flows { get; init; } = new();
    public string? Oauth2MetadataUrl { get; init; }
}

/// <summary>Exactly one member is set. The two deprecated flows are not offered.</summary>
public sealed record OAuthFlows
{
    public OAuthFlow? AuthorizationCode { get; init; }
    public OAuthFlow? ClientCredentials { get; init; }
    public OAuthFlow? DeviceCode { get; init; }
}

/// <summary>The union of the flows' members; which of them are needed depends on the flow.</summary>
public sealed record OAuthFlow
{
    public string? AuthorizationUrl { get; init; }
    public string? DeviceAuthorizationUrl { get; init; }
    public string TokenUrl { get; init; } = "";
    public string? RefreshUrl { get; init; }
    public IReadOnlyDictionary<string, string> Scopes { get; init; } = new Dictionary<string, string>();
    public bool? PkceRequired { get; init; }
}

public sealed record OpenIdConnectSecurityScheme
{
    public string? Description { get; init; }
    public string OpenIdConnectUrl { get; init; } = "";
}

public sealed record MutualTlsSecurityScheme
{
    public string? Description { get; init; }
}
