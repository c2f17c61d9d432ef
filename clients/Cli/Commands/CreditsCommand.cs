using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>Balance, top-up (Development) and entries.</summary>
internal static class CreditsCommand
{
    public static Command Create(CliContext context)
    {
        var command = new Command("credits", "Available and reserved credits.") { TopUp(context), Entries(context), CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            Show(context, await client.Credits.GetBalanceAsync(cancellationToken), parsed.GetValue(CreatorOptions.Json));
        });
        return command;
    }

    private static Command TopUp(CliContext context)
    {
        var credits = new Argument<decimal>("credits") { Description = "How many; one credit is $0.10." };
        var id = new Option<Guid?>("--id") { Description = "Id of the top-up; repeating it is harmless." };
        var command = new Command("top-up", "Add credits without paying. Development only.") { credits, id, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var amount = parsed.GetValue(credits) * Pricing.MicrocreditsPerCredit;
            if (amount <= 0 || amount > 1_000_000_000_000m || amount != decimal.Truncate(amount))
            {
                throw new CliException($"{parsed.GetValue(credits)} credits cannot be added. Give a number above 0, up to 1000000, with at most six decimals.", exitCode: 2);
            }

            using var client = CreatorOptions.Open(context, parsed);
            var answer = await client.Credits.TopUpAsync(parsed.GetValue(id) ?? Guid.CreateVersion7(), (long)amount, cancellationToken);
            Show(context, answer.Balance, parsed.GetValue(CreatorOptions.Json));
        });
        return command;
    }

    private static Command Entries(CliContext context)
    {
        var job = new Option<string?>("--job") { Description = "Only those of one job." };
        var command = new Command("entries", "Your side of the books.") { job, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var jobId = parsed.GetValue(job) is { } text ? JobCommands.ParseJob(text) : (JobId?)null;
            var entries = await client.Credits.ListEntriesAsync(jobId, cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(entries);
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("at").AddColumn("kind").AddColumn("account").AddColumn(new TableColumn("amount").RightAligned()).AddColumn("job");
            foreach (var entry in entries.Entries)
            {
                table.AddRow(entry.At.ToString("u"), entry.Kind, Markup.Escape(entry.Account.Split(':')[0]), Tables.Credits(entry.AmountMicrocredits), entry.JobId?.ToString() ?? "");
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static void Show(CliContext context, CreditBalance balance, bool json)
    {
        if (json)
        {
            CliContext.WriteJson(balance);
            return;
        }

        context.Console.Write(Tables.Facts(
            ("Available", Tables.Credits(balance.AvailableMicrocredits)), ("Reserved", Tables.Credits(balance.ReservedMicrocredits)),
            ("Earned", Tables.Credits(balance.EarnedMicrocredits)), ("Earned, not released yet", Tables.Credits(balance.EarningsPendingMicrocredits))));
    }
}
