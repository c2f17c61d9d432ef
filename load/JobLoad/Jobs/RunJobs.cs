using System.Text.Json;
using NBomber.Contracts.Stats;
using NBomber.CSharp;
using RenderTrust.JobLoad.Measuring;

namespace RenderTrust.JobLoad.Jobs;

/// <param name="Processes">Roots of the platform's process trees; empty measures no CPU time.</param>
/// <param name="Postgres">Connection string for the platform's own figures; null leaves them out.</param>
internal sealed record JobsCommand(
    Uri Gateway, string Profile, int Rate, int Seconds, int WarmUpSeconds, int Recipients, int Units, string Output, IReadOnlyList<int> Processes, string? Result, string? Postgres)
{
    public int WarmUpJobs => Rate * WarmUpSeconds;

    public int MeasuredJobs => Rate * Seconds;
}

/// <summary>
/// Submit-to-settle at a fixed rate. Jobs are sealed before, so that the client's own work does not share the processors with what is measured.
/// Exit code 0: every threshold held; 1: one did not.
/// </summary>
internal static class RunJobs
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static async Task<int> RunAsync(JobsCommand command, CancellationToken cancellationToken)
    {
        if (command.Rate is < 1 or > 1000 || command.Seconds is < 1 or > 3600 || command.WarmUpSeconds < 0 || command.WarmUpSeconds > command.Seconds || command.Recipients < 1 || command.Units is < 1 or > 100)
        {
            throw new LoadException("The rate is 1 to 1000 jobs a second, for 1 to 3600 s with a warm-up that is no longer, 1 to 100 units a job, sealed for 1 node or more.");
        }

        using var client = await Creator.OpenAsync(command.Gateway, command.Profile, cancellationToken);
        await Console.Error.WriteLineAsync($"Sealing {command.WarmUpJobs + command.MeasuredJobs} jobs");
        var prepared = await PreparedJobs.MakeAsync(client, command, cancellationToken);

        await Console.Error.WriteLineAsync($"{command.Rate} jobs/s for {command.Seconds} s, after {command.WarmUpSeconds} s of warm-up");
        var cpu = new CpuMeter(command.Processes);
        var flow = new JobScenario(client, prepared, cpu);
        // The library blocks its caller for as long as it runs.
        var stats = await Task.Run(() => NBomberRunner.RegisterScenarios(flow.Describe(command))
            .WithTestSuite("rendertrust").WithTestName($"{command.Rate} jobs a second").WithReportFolder(command.Output).WithReportFileName("jobs").Run(), cancellationToken);
        var cpuMilliseconds = cpu.MillisecondsSinceStart();

        var thresholds = stats.Thresholds.ToList();
        var platform = new List<Figure>();
        if (command.Postgres is { } connectionString)
        {
            var timings = await PlatformTimings.ReadAsync(connectionString, flow.MeasuredTasks, cancellationToken);
            thresholds.AddRange(await Task.Run(() => PlatformTimings.Report(timings, command.Output), cancellationToken));
            platform.AddRange(PlatformTimings.Figures(timings));
        }

        var result = new JobsResult(
            command.Rate, command.Seconds, command.Units, stats.ScenarioStats[0].Ok.Request.Count, stats.ScenarioStats[0].Fail.Request.Count,
            cpu.IsMeasured ? Math.Round(cpuMilliseconds / Math.Max(1, stats.ScenarioStats[0].Ok.Request.Count), 1) : null,
            LoadAverage.Read(), platform, [.. stats.ScenarioStats[0].StepStats.Select(step => Figure.Of("client " + step.StepName, step.Ok))], !thresholds.Exists(threshold => threshold.IsFailed));
        if (command.Result is { } file)
        {
            await File.WriteAllTextAsync(file, JsonSerializer.Serialize(result, Json), cancellationToken);
        }

        Print(result, thresholds, command.Output);
        return result.Ok ? 0 : 1;
    }

    private static void Print(JobsResult result, IReadOnlyList<ThresholdResult> thresholds, string folder)
    {
        Console.WriteLine($"{result.Completed} jobs settled, {result.Failed} did not; load average {result.LoadAverage}{(result.CpuMillisecondsPerJob is { } cpu ? $"; {cpu} CPU ms a job" : "")}");
        foreach (var figure in result.Platform.Concat(result.Client))
        {
            Console.WriteLine($"  {figure.Name,-16} {figure.Count,6}   p50 {figure.P50Milliseconds,8:0.0}   p95 {figure.P95Milliseconds,8:0.0}   p99 {figure.P99Milliseconds,8:0.0}   max {figure.MaxMilliseconds,8:0.0} ms");
        }

        foreach (var threshold in thresholds)
        {
            Console.WriteLine($"  {(threshold.IsFailed ? "FAILED" : "held  ")} {threshold.ScenarioName} {threshold.StepName} {threshold.CheckExpression} {threshold.ExceptionMsg}");
        }

        Console.WriteLine($"Reports: {Path.GetFullPath(folder)}");
    }
}

/// <summary>What a run came to.</summary>
/// <param name="CpuMillisecondsPerJob">User and system time of the platform's processes for each settled job; null where it was not measured.</param>
/// <param name="LoadAverage">Of the machine, over a minute, at the end.</param>
/// <param name="Platform">As the platform measured itself.</param>
/// <param name="Client">As the client saw it.</param>
internal sealed record JobsResult(
    int Rate, int Seconds, int Units, int Completed, int Failed, double? CpuMillisecondsPerJob, double LoadAverage, IReadOnlyList<Figure> Platform, IReadOnlyList<Figure> Client, bool Ok);

internal sealed record Figure(string Name, int Count, double P50Milliseconds, double P95Milliseconds, double P99Milliseconds, double MaxMilliseconds)
{
    public static Figure Of(string name, MeasurementStats stats) =>
        new(name, stats.Request.Count, stats.Latency.Percent50, stats.Latency.Percent95, stats.Latency.Percent99, stats.Latency.MaxMs);
}
