using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Client;
using RenderTrust.Client.Profiles;

namespace RenderTrust.Cli.Commands;

/// <summary>Options of every command that speaks to a platform as a creator.</summary>
internal static class CreatorOptions
{
    public static readonly Option<string?> Profile = new("--profile") { Description = "Folder of the creator's keys; default: ~/.config/rendertrust." };
    public static readonly Option<bool> Json = new("--json") { Description = "Answer as JSON on standard output." };

    public static string Folder(ParseResult parsed) =>
        parsed.GetValue(Profile)
        ?? Environment.GetEnvironmentVariable("RENDERTRUST_PROFILE")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config", "rendertrust");

    public static RenderTrustClient Open(CliContext context, ParseResult parsed)
    {
        if (parsed.GetValue(Json))
        {
            context.QuietForJson();
        }

        var folder = Folder(parsed);
        if (!CreatorProfile.Exists(folder))
        {
            throw new CliException($"There is no profile in {folder}. Make one with: rendertrust login [--gateway URL]", exitCode: 2);
        }

        return new RenderTrustClient(CreatorProfile.Load(folder, Environment.GetEnvironmentVariable("RENDERTRUST_PASSPHRASE")));
    }

    /// <summary>The gateway of the platform that runs on this machine.</summary>
    public static Uri? LocalGateway(CliContext context) =>
        PlatformState.Read(context.Platform) is { } state ? new Uri($"http://127.0.0.1:{state.Ports["gateway"]}") : null;
}
