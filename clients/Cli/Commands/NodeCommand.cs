using System.CommandLine;
using RenderTrust.Cli.Output;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>A studio's own nodes, and tokens that enrol new ones.</summary>
internal static class NodeCommand
{
    public static Command Create(CliContext context)
    {
        var command = new Command("node", "Your nodes.") { Token(context), CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var nodes = await client.ListNodesAsync(cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(nodes);
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("node").AddColumn("status").AddColumn("runner").AddColumn("slots").AddColumn("seen");
            foreach (var node in nodes.Nodes)
            {
                table.AddRow(
                    Markup.Escape(node.Name), node.Status == "online" ? "[green]online[/]" : $"[red]{node.Status}[/]", Markup.Escape(node.Capabilities?.Runner ?? ""),
                    $"{node.BusySlots}/{node.Capabilities?.Slots}", node.SeenAt?.ToString("u") ?? "");
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static Command Token(CliContext context)
    {
        var name = new Argument<string>("name") { Description = "Name of the new node." };
        var seconds = new Option<int>("--expires-in-seconds") { Description = "Until the token ends.", DefaultValueFactory = _ => 3600 };
        var command = new Command("token", "A one-time token that enrols one node; shown once.") { name, seconds, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var token = await client.Identity.CreateNodeTokenAsync(parsed.GetValue(name)!, parsed.GetValue(seconds), cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(token);
                return;
            }

            context.Console.Write(Tables.Facts(("token", token.Token), ("ends", token.ExpiresAt.ToString("u"))));
            context.Console.MarkupLineInterpolated($"On the node: put it into a file and run [bold]RenderTrust.Agent enroll --gateway {client.Profile.Facts.GatewayUrl} --token-file FILE --state DIR[/]");
        });
        return command;
    }
}
