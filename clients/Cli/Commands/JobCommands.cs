using System.CommandLine;
using RenderTrust.Cli.Output;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary><c>jobs</c>, <c>jobs trace</c>, <c>watch</c>, <c>fetch</c>, <c>cancel</c>.</summary>
internal static class JobCommands
{
    private static readonly Argument<string> Job = new("job") { Description = "Job id." };

    public static JobId ParseJob(string text) => JobId.TryParse(text, null, out var id)
        ? id
        : throw new CliException($"'{text}' is no job id. Job ids look like 01234567-89ab-7cde-8f01-23456789abcd; 'rendertrust jobs' lists yours.", exitCode: 2);

    public static Command Jobs(CliContext context)
    {
        var id = new Argument<string?>("job") { Description = "One job in full.", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("jobs", "Your jobs, or one of them in full: units, nodes and why they were chosen, money, latencies.") { id, CreatorOptions.Profile, CreatorOptions.Json, Trace(context) };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            if (parsed.GetValue(id) is { } text)
            {
                var summary = await client.Jobs.GetSummaryAsync(ParseJob(text), cancellationToken);
                if (parsed.GetValue(CreatorOptions.Json))
                {
                    CliContext.WriteJson(summary);
                }
                else
                {
                    JobReport.Write(context.Console, summary);
                }

                return;
            }

            var list = await client.Jobs.ListAsync(null, cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(list);
                return;
            }

            var table = new Table().RoundedBorder().AddColumn("job").AddColumn("module").AddColumn("status").AddColumn("units").AddColumn("submitted").AddColumn("reason");
            foreach (var job in list.Jobs)
            {
                table.AddRow(job.JobId.ToString(), Markup.Escape(job.Module), JobReport.Coloured(job.Status), $"{job.UnitsCompleted}/{job.UnitCount}", job.SubmittedAt.ToString("u"), Markup.Escape(job.Reason ?? ""));
            }

            context.Console.Write(table);
        });
        return command;
    }

    private static Command Trace(CliContext context)
    {
        var command = new Command("trace", "All that was done for a job, from your machine to the node and back, as a tree with times.") { Job, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var trace = await client.Jobs.GetTraceAsync(ParseJob(parsed.GetValue(Job)!), cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(trace);
            }
            else
            {
                TraceReport.Write(context.Console, trace);
            }
        });
        return command;
    }

    public static Command Watch(CliContext context)
    {
        var command = new Command("watch", "Follow a job to its end. Ctrl+C stops the watching, never the job.") { Job, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var job = ParseJob(parsed.GetValue(Job)!);
            var summary = await client.Jobs.GetSummaryAsync(job, cancellationToken);
            var last = await Follow.RunAsync(context, client.Jobs.WatchAsync(summary.TaskId.ToString(), cancellationToken), summary.UnitCount, parsed.GetValue(CreatorOptions.Json));
            return Follow.ExitCode(last);
        });
        return command;
    }

    public static Command Fetch(CliContext context)
    {
        var output = new Option<string>("--out") { Description = "Folder for the opened outputs.", DefaultValueFactory = _ => "out" };
        var command = new Command("fetch", "Download a job's outputs, check their hashes and open them with your key.") { Job, output, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var fetched = new List<FetchedOutput>();
            await foreach (var file in client.Jobs.FetchAsync(ParseJob(parsed.GetValue(Job)!), parsed.GetValue(output)!, cancellationToken))
            {
                fetched.Add(file);
                context.Console.MarkupLineInterpolated($"[green]✓[/] {file.FileName} [grey]({file.SizeBytes} bytes, hash matches)[/]");
            }

            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(fetched);
            }
            else if (fetched.Count == 0)
            {
                context.Console.MarkupLine("The job has no outputs yet. [grey]rendertrust watch JOB[/] follows it.");
            }
        });
        return command;
    }

    public static Command Cancel(CliContext context)
    {
        var command = new Command("cancel", "Stop a job. Finished units stay yours and paid; the rest of the hold is released.") { Job, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            var summary = await client.Jobs.GetSummaryAsync(ParseJob(parsed.GetValue(Job)!), cancellationToken);
            var task = await client.Jobs.CancelAsync(summary.TaskId.ToString(), cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(new { jobId = summary.JobId.ToString(), state = task.Status.State.ToString() });
                return;
            }

            context.Console.MarkupLineInterpolated($"Job {summary.JobId}: {task.Status.State}");
        });
        return command;
    }
}
