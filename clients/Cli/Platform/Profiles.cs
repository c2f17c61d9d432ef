using System.Text.Json.Nodes;
using RenderTrust.Client;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;

namespace RenderTrust.Cli.Platform;

/// <summary>The people of a local platform, one profile folder each.</summary>
internal static class Profiles
{
    /// <summary>Opens the profile, signing up first where there is none. A gateway that has moved since is taken over.</summary>
    public static async Task<RenderTrustClient> OpenOrSignUpAsync(string folder, Uri gateway, string displayName, CancellationToken cancellationToken)
    {
        if (!CreatorProfile.Exists(folder))
        {
            (await RenderTrustClient.SignUpAsync(new SignUp(gateway, displayName, Environment.MachineName), folder, cancellationToken)).Dispose();
        }

        MoveGateway(folder, gateway);
        return new RenderTrustClient(CreatorProfile.Load(folder));
    }

    /// <summary>The same platform on another port: keys, tenant and pinned CA stay.</summary>
    private static void MoveGateway(string folder, Uri gateway)
    {
        var file = Path.Combine(folder, "profile.json");
        var facts = JsonNode.Parse(File.ReadAllText(file))!;
        if (facts["gatewayUrl"]?.GetValue<string>() is { } known && new Uri(known) != gateway)
        {
            facts["gatewayUrl"] = gateway.ToString();
            File.WriteAllText(file + ".new", facts.ToJsonString());
            File.Move(file + ".new", file, overwrite: true);
        }
    }
}
