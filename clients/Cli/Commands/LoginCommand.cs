using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Client;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;

namespace RenderTrust.Cli.Commands;

/// <summary>Makes the keys of a creator on this machine and signs up with them; afterwards the keys are the login.</summary>
internal static class LoginCommand
{
    public static Command Create(CliContext context)
    {
        var gateway = new Option<Uri?>("--gateway")
        {
            Description = "Address of the platform; default: the one that runs on this machine.",
            CustomParser = result =>
            {
                if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
                {
                    return address;
                }

                result.AddError($"--gateway is '{result.Tokens[0].Value}', which is no http or https address. Give one such as https://render.example.");
                return null;
            },
        };
        var name = new Option<string>("--name") { Description = "Name to show.", DefaultValueFactory = _ => Environment.UserName };
        var fingerprint = new Option<string?>("--ca-fingerprint") { Description = "SHA-256 of the platform CA, if you were given one: it is compared before anything is trusted." };
        var command = new Command("login", "Make keys for a creator on this machine and sign up.") { gateway, name, fingerprint, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var folder = CreatorOptions.Folder(parsed);
            if (!CreatorProfile.Exists(folder))
            {
                var address = parsed.GetValue(gateway) ?? CreatorOptions.LocalGateway(context)
                    ?? throw new CliException("No platform runs on this machine. Start one with ./rendertrust up, or give --gateway URL.", exitCode: 2);
                var signUp = new SignUp(address, parsed.GetValue(name)!, Environment.MachineName)
                {
                    CaFingerprintSha256 = parsed.GetValue(fingerprint),
                    Passphrase = Environment.GetEnvironmentVariable("RENDERTRUST_PASSPHRASE"),
                };
                (await RenderTrustClient.SignUpAsync(signUp, folder, cancellationToken)).Dispose();
            }

            using var client = CreatorOptions.Open(context, parsed);
            var me = await client.Identity.GetMeAsync(cancellationToken);
            var facts = client.Profile.Facts;
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(new { tenantId = me.TenantId.ToString(), deviceId = facts.DeviceId.ToString(), me.DisplayName, gateway = facts.GatewayUrl, profile = folder, me.Scopes });
                return 0;
            }

            context.Console.Write(Tables.Facts(
                ("name", me.DisplayName), ("tenant", me.TenantId.ToString()), ("device", facts.DeviceId.ToString()), ("gateway", facts.GatewayUrl.ToString()), ("keys in", folder)));
            return 0;
        });
        return command;
    }
}
