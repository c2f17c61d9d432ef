using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Client;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>Signs a browser in as this profile, and shows or ends the browsers that are.</summary>
internal static class DashboardCommand
{
    public static Command Create(CliContext context)
    {
        // Not by default: for a moment the link is on a command line, where every user of this machine could read it and be the first to open it.
        var open = new Option<bool>("--open") { Description = "Start this desktop's browser with the link as well. Not on a machine that others use." };
        var command = new Command("dashboard", "Sign a browser in: prints a link that is good once, for a minute, and hands the browser the key that opens your frames.")
        {
            Sessions(context), End(context), open, CreatorOptions.Profile, CreatorOptions.Json,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var json = parsed.GetValue(CreatorOptions.Json);
            using var client = CreatorOptions.Open(context, parsed);
            using var signIn = await client.Identity.SignInBrowserAsync(cancellationToken);
            Tell(context, signIn.Link, signIn.ExpiresAt, json);
            if (parsed.GetValue(open))
            {
                Shell.OpenInBrowser(signIn.Link);
            }

            var browser = await signIn.CompleteAsync(cancellationToken)
                ?? throw new CliException("No browser came within the minute. Run 'rendertrust dashboard' again and open the new link.");
            if (json)
            {
                CliContext.WriteJson(new { signedIn = true, browser });
            }
            else
            {
                context.Console.MarkupLineInterpolated($"[green]✓[/] {browser} is signed in and can open your frames. [grey]rendertrust dashboard sessions[/] lists browsers, [grey]end[/] signs one out.");
            }

            return 0;
        });
        return command;
    }

    /// <summary>Alone on its line and not wrapped: people copy it.</summary>
    private static void Tell(CliContext context, Uri link, DateTimeOffset expiresAt, bool json)
    {
        if (json)
        {
            Console.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(new { link, expiresAt }, Contracts.WireJson.Options));
            return;
        }

        context.Console.MarkupLine("Open this link in a browser on a machine of yours. It is good once, for one minute:");
        Console.Out.WriteLine();
        Console.Out.WriteLine(link);
        Console.Out.WriteLine();
        context.Console.MarkupLine("[grey]Waiting for the browser …[/]");
    }

    private static Command Sessions(CliContext context)
    {
        var command = new Command("sessions", "Browsers that are signed in.") { CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var sessions = await client.Identity.ListSessionsAsync(cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(sessions);
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("session").AddColumn("browser").AddColumn("since").AddColumn("until");
            foreach (var session in sessions)
            {
                table.AddRow(session.SessionId.ToString("D"), Markup.Escape(session.Name), session.CreatedAt.ToString("u"), session.ExpiresAt.ToString("u"));
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static Command End(CliContext context)
    {
        var id = new Argument<string>("session") { Description = "Its id, from 'dashboard sessions'; or 'all'." };
        var command = new Command("end", "Sign a browser out. Within seconds it sees nothing more.") { id, CreatorOptions.Profile };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            foreach (var session in await ChosenAsync(client, parsed.GetValue(id)!, cancellationToken))
            {
                await client.Identity.EndSessionAsync(session, cancellationToken);
                context.Console.MarkupLineInterpolated($"Ended {session:D}.");
            }
        });
        return command;
    }

    private static async Task<IReadOnlyList<Guid>> ChosenAsync(RenderTrustClient client, string text, CancellationToken cancellationToken)
    {
        if (text == "all")
        {
            return [.. (await client.Identity.ListSessionsAsync(cancellationToken)).Select(session => session.SessionId)];
        }

        return Guid.TryParseExact(text, "D", out var id)
            ? [id]
            : throw new CliException($"'{text}' is no session id. 'rendertrust dashboard sessions' lists them; 'all' ends every one.", exitCode: 2);
    }
}
