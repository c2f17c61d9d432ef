using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>The creator's own keys, whose keys jobs are sealed for, and API keys for other A2A clients.</summary>
internal static class KeysCommand
{
    private const int MostDays = 365;

    public static Command Create(CliContext context) => new("keys", "Keys: your own, the nodes', and API keys for other A2A clients.")
    {
        Show(context), Recipients(context), CreateApiKey(context), ListApiKeys(context), Revoke(context),
    };

    private static Command Show(CliContext context)
    {
        var command = new Command("show", "Ids of this profile's keys. Private parts are never shown.") { CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(parsed =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var profile = client.Profile;
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(new { deviceKey = profile.DeviceKey.Thumbprint, encryptionKey = profile.EncryptionKey.PublicKey.KeyId, encryptionPublicKey = profile.EncryptionKey.PublicKey.Encode() });
                return;
            }

            context.Console.Write(Tables.Facts(("device key (ES256)", profile.DeviceKey.Thumbprint), ("encryption key (P-256)", profile.EncryptionKey.PublicKey.KeyId)));
        });
        return command;
    }

    private static Command Recipients(CliContext context)
    {
        var command = new Command("recipients", "Nodes that a job would be sealed for; each key's signed statement has been verified.") { CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var recipients = await client.Identity.GetRecipientsAsync("node", cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(recipients.Select(recipient => recipient.Statement));
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("node").AddColumn("owner").AddColumn("key");
            foreach (var recipient in recipients)
            {
                table.AddRow(Markup.Escape(recipient.Statement.Name), recipient.Statement.Owner.ToString(), recipient.Statement.KeyId);
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static Command CreateApiKey(CliContext context)
    {
        var name = new Argument<string>("name") { Description = "What the key is for." };
        var scopes = new Option<string[]>("--scope") { Description = "jobs, credits, modules, nodes; may be repeated.", DefaultValueFactory = _ => ["jobs"] };
        var days = new Option<int>("--days") { Description = "Until it ends.", DefaultValueFactory = _ => 90 };
        var command = new Command("create", "Make an API key; it is shown once.") { name, scopes, days, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(days) is < 1 or > MostDays)
            {
                throw new CliException($"--days is {parsed.GetValue(days)}. An API key lasts 1 to {MostDays} days.", exitCode: 2);
            }

            using var client = CreatorOptions.Open(context, parsed);
            var created = await client.Identity.CreateApiKeyAsync(new CreateApiKeyRequest(parsed.GetValue(name)!, parsed.GetValue(scopes)!, parsed.GetValue(days) * 86_400), cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(created);
                return;
            }

            context.Console.Write(Tables.Facts(("id", created.ApiKeyId.ToString()), ("key", created.ApiKey), ("ends", created.ExpiresAt.ToString("u"))));
            context.Console.MarkupLine("[yellow]Keep it now; it cannot be shown again.[/]");
        });
        return command;
    }

    private static Command ListApiKeys(CliContext context)
    {
        var command = new Command("list", "API keys of this creator.") { CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var keys = await client.Identity.ListApiKeysAsync(cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(keys);
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("id").AddColumn("name").AddColumn("scopes").AddColumn("ends").AddColumn("");
            foreach (var key in keys.ApiKeys)
            {
                table.AddRow(key.ApiKeyId.ToString(), Markup.Escape(key.Name), Markup.Escape(string.Join(' ', key.Scopes)), key.ExpiresAt.ToString("u"), key.Revoked ? "[red]revoked[/]" : "");
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static Command Revoke(CliContext context)
    {
        var id = new Argument<Guid>("id") { Description = "Of the API key." };
        var command = new Command("revoke", "End an API key now.") { id, CreatorOptions.Profile };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            await client.Identity.RevokeApiKeyAsync(parsed.GetValue(id), cancellationToken);
            context.Console.MarkupLine("Revoked; it stops working within five seconds.");
        });
        return command;
    }
}
