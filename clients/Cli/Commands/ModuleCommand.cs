using System.CommandLine;
using System.Text.Json;
using RenderTrust.Cli.Output;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>Modules on offer, and publishing one.</summary>
internal static class ModuleCommand
{
    public static Command Create(CliContext context)
    {
        var command = new Command("module", "Modules on offer.") { Publish(context), CreatorOptions.Profile, CreatorOptions.Json };
        command.Aliases.Add("modules");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var modules = await client.Modules.ListAsync(cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(modules);
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("module").AddColumn("device").AddColumn(new TableColumn("per minute").RightAligned()).AddColumn("what it does");
            foreach (var module in modules.Modules)
            {
                table.AddRow(Markup.Escape(module.Reference), module.Runtime.DeviceKind.ToString(), Tables.Credits(module.RatePerMinuteMicrocredits), Markup.Escape(module.Description));
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static Command Publish(CliContext context)
    {
        var file = new Argument<FileInfo>("file") { Description = "JSON of the version to publish: name, version, title, description, ratePerMinuteMicrocredits, runtime, schemas." };
        var command = new Command("publish", "Publish a version of a module. Versions never change; the same content again is not an error.") { file, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var path = parsed.GetValue(file)!;
            if (!path.Exists)
            {
                throw new CliException($"There is no file {path}. Give the JSON of the version to publish; 'rendertrust module publish --help' names its members.", exitCode: 2);
            }

            PublishModuleRequest request;
            try
            {
                await using var stream = path.OpenRead();
                request = await JsonSerializer.DeserializeAsync<PublishModuleRequest>(stream, WireJson.Strict, cancellationToken) ?? throw new JsonException("It is null.");
            }
            catch (JsonException exception)
            {
                throw new CliException($"{path}:{(exception.LineNumber ?? 0) + 1}: {exception.Message.Split(" Path: ")[0]} Correct the file; 'rendertrust module publish --help' names its members.", exitCode: 2);
            }

            using var client = CreatorOptions.Open(context, parsed);
            var published = await client.Modules.PublishAsync(request, cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(published);
            }
            else
            {
                context.Console.MarkupLineInterpolated($"[green]✓[/] {published.Reference}, published {published.PublishedAt:u}");
            }
        });
        return command;
    }
}
