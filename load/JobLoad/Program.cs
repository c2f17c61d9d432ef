using System.CommandLine;
using RenderTrust.JobLoad;
using RenderTrust.JobLoad.Jobs;
using RenderTrust.JobLoad.Requests;

const string postgresVariable = "RENDERTRUST_LOAD_POSTGRES";
var gateway = new Option<string>("--gateway") { Description = "Address of the gateway, on this machine", Required = true };
var profile = new Option<string>("--profile") { Description = "Folder of the creator's keys; made if it is not there", Required = true };
var result = new Option<string?>("--result") { Description = "File for the figures, as JSON" };

var rate = new Option<int>("--rate") { Description = "Jobs a second", DefaultValueFactory = _ => 20 };
var seconds = new Option<int>("--seconds") { Description = "How long", DefaultValueFactory = _ => 30 };
var warmUp = new Option<int>("--warm-up") { Description = "Seconds of the same load before, counted nowhere", DefaultValueFactory = _ => 10 };
var recipients = new Option<int>("--recipients") { Description = "Nodes that each job is sealed for, taken in turn", DefaultValueFactory = _ => 16 };
var units = new Option<int>("--units") { Description = "Units a job", DefaultValueFactory = _ => 1 };
var output = new Option<string>("--out") { Description = "Folder for the reports", Required = true };
var processes = new Option<int[]>("--processes") { Description = "Roots of the platform's process trees, whose CPU time is read", AllowMultipleArgumentsPerToken = true };
var jobs = new Command("jobs", $"Submit jobs at a fixed rate and follow each until it is settled. {postgresVariable} (a connection string) adds the platform's own figures.")
{
    gateway, profile, rate, seconds, warmUp, recipients, units, output, processes, result,
};
jobs.SetAction((parsed, cancellationToken) => GuardAsync(async () => await RunJobs.RunAsync(
    new JobsCommand(
        Address(parsed.GetRequiredValue(gateway)), parsed.GetRequiredValue(profile), parsed.GetValue(rate), parsed.GetValue(seconds), parsed.GetValue(warmUp),
        parsed.GetValue(recipients), parsed.GetValue(units), parsed.GetRequiredValue(output), parsed.GetValue(processes) ?? [], parsed.GetValue(result),
        Environment.GetEnvironmentVariable(postgresVariable)),
    cancellationToken)));

var requestSeconds = new Option<int>("--seconds") { Description = "How long for each of the two", DefaultValueFactory = _ => 5 };
var getTask = new Command("get-task", "A2A GetTask as fast as a few connections can, against a bare JSON echo in the same run") { gateway, profile, requestSeconds, result };
getTask.SetAction((parsed, cancellationToken) => GuardAsync(async () => await MeasureGetTask.RunAsync(
    new GetTaskCommand(Address(parsed.GetRequiredValue(gateway)), parsed.GetRequiredValue(profile), parsed.GetValue(requestSeconds), parsed.GetValue(result)), cancellationToken)));

return await new RootCommand("RenderTrust load: what the platform does under a given rate of jobs and requests") { jobs, getTask }.Parse(args).InvokeAsync();

static Uri Address(string text) => Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is ("http" or "https")
    ? address
    : throw new LoadException($"--gateway is '{text}', which is no http or https address. Give one such as http://127.0.0.1:8080.");

// What a person can put right is one line, not a stack trace.
static async Task<int> GuardAsync(Func<Task<int>> action)
{
    try
    {
        return await action();
    }
    catch (Exception exception) when (exception is LoadException or RenderTrust.Client.RenderTrustException or Npgsql.NpgsqlException)
    {
        await Console.Error.WriteLineAsync($"error: {exception.Message}");
        return 2;
    }
}
