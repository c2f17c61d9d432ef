using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>What this agent says about itself: the card, and the answer to someone who just asks.</summary>
internal static class Descriptions
{
    private const string ApiKeyScheme = "apiKey";
    private const string DeviceScheme = "device";
    private static readonly string[] InputModes = [MediaTypes.JobSpec, MediaTypes.Sealed, "text/plain"];
    private static readonly string[] OutputModes = [MediaTypes.Output, "text/plain"];

    public static AgentCard Card(string publicUrl, IReadOnlyList<ModuleVersion> modules) => new()
    {
        Name = "RenderTrust",
        Description = "Runs render and AI jobs on studios' own machines. Assets stay sealed under the creator's keys; only the node that runs a unit opens it.",
        SupportedInterfaces = [new AgentInterface { Url = publicUrl + "/a2a", ProtocolBinding = "JSONRPC", ProtocolVersion = A2AHeaders.CurrentVersion }],
        Provider = new AgentProvider { Organization = "RenderTrust", Url = publicUrl },
        Version = typeof(Descriptions).Assembly.GetName().Version?.ToString(3) ?? "0.0.0",
        Capabilities = new AgentCapabilities
        {
            Streaming = true,
            Extensions =
            [
                new AgentExtension
                {
                    Uri = WellKnown.SealingExtension,
                    Description = "Jobs, assets and outputs are sealed end to end. Progress and outputs carry their data under this URI.",
                    Params = new JsonObject { ["jobSpec"] = MediaTypes.JobSpec, ["sealed"] = MediaTypes.Sealed, ["output"] = MediaTypes.Output, ["uploads"] = publicUrl + "/v1/uploads" },
                },
            ],
        },
        SecuritySchemes = new Dictionary<string, SecurityScheme>
        {
            [DeviceScheme] = new()
            {
                HttpAuthSecurityScheme = new HttpAuthSecurityScheme { Scheme = "DPoP", BearerFormat = "JWT", Description = "Access token from /v1/identity/token, bound to the device's key, with a DPoP proof (RFC 9449) per request." },
            },
            [ApiKeyScheme] = new() { HttpAuthSecurityScheme = new HttpAuthSecurityScheme { Scheme = "Bearer", Description = "API key (rtk_...) from /v1/identity/api-keys, for agents that cannot make proofs." } },
        },
        SecurityRequirements = [Requires(DeviceScheme), Requires(ApiKeyScheme)],
        DefaultInputModes = InputModes,
        DefaultOutputModes = OutputModes,
        Skills = [SubmitSkill, .. modules.Select(Skill)],
    };

    /// <summary>Answer to a message of plain text.</summary>
    public static Message Answer(string publicUrl, string? contextId, IReadOnlyList<ModuleVersion> modules)
    {
        var text = new StringBuilder("I run sealed render and AI jobs. ");
        text.Append(modules.Count == 0 ? "No module is published yet." : "Modules and prices:");
        foreach (var module in modules)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n- {module.Reference}: {module.Title}, {Credits(module)} credits per {Device(module)}-minute");
        }

        text.Append(CultureInfo.InvariantCulture, $"\nTo submit: seal the manifest and the assets with your own keys, upload what is larger than 1 MiB to {publicUrl}/v1/uploads, ");
        text.Append(CultureInfo.InvariantCulture, $"then send a message with one data part of media type {MediaTypes.JobSpec} and the small sealed parts as {MediaTypes.Sealed}. ");
        text.Append(CultureInfo.InvariantCulture, $"The extension {WellKnown.SealingExtension} describes the formats. Plain text and plaintext assets are never taken into a job.");
        return new Message
        {
            MessageId = Guid.CreateVersion7().ToString(),
            ContextId = contextId ?? Guid.CreateVersion7().ToString(),
            Role = Role.Agent,
            Parts = [Part.FromText(text.ToString())],
        };
    }

    private static AgentSkill SubmitSkill => new()
    {
        Id = "sealed-job",
        Name = "Run a sealed job",
        Description = "Takes a job spec with sealed manifest and assets, runs its units on granted nodes and gives back sealed outputs. A message of plain text is answered with modules and prices.",
        Tags = ["render", "ai", "sealed"],
        InputModes = InputModes,
        OutputModes = OutputModes,
    };

    private static AgentSkill Skill(ModuleVersion module) => new()
    {
        Id = module.Name,
        Name = module.Title,
        Description = $"{module.Description} Module {module.Reference}, {Credits(module)} credits per {Device(module)}-minute.",
        Tags = module.Tags.Count > 0 ? module.Tags : [Device(module).ToLowerInvariant()],
        Examples = module.Examples,
        InputModes = [MediaTypes.JobSpec, MediaTypes.Sealed],
        OutputModes = [MediaTypes.Output],
    };

    private static SecurityRequirement Requires(string scheme) => new() { Schemes = new Dictionary<string, StringList> { [scheme] = new() { List = ["jobs"] } } };

    private static string Credits(ModuleVersion module) => ((decimal)module.RatePerMinuteMicrocredits / Pricing.MicrocreditsPerCredit).ToString("0.######", CultureInfo.InvariantCulture);

    private static string Device(ModuleVersion module) => module.Runtime.DeviceKind is DeviceKind.Gpu ? "GPU" : "CPU";
}
