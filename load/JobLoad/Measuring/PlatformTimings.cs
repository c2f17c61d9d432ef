using NBomber.Contracts;
using NBomber.Contracts.Stats;
using NBomber.CSharp;
using Npgsql;
using RenderTrust.JobLoad.Jobs;

namespace RenderTrust.JobLoad.Measuring;

/// <summary>The figures that the platform takes of itself: submit, dispatch, return and the hand-over to the ledger.</summary>
internal static class PlatformTimings
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(5);

    /// <summary>Of these tasks, by name, in milliseconds. Written in batches, so it waits until a submit of each is there.</summary>
    public static async Task<IReadOnlyDictionary<string, double[]>> ReadAsync(string connectionString, IReadOnlyCollection<Guid> tasks, CancellationToken cancellationToken)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
        var waiting = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var timings = new List<(string Name, double Milliseconds)>();
            await using var command = database.CreateCommand("SELECT name, milliseconds FROM scheduler.timings WHERE task_id = ANY($1)");
            command.Parameters.Add(new() { Value = tasks.ToArray() });
            await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
            {
                while (await reader.ReadAsync(cancellationToken))
                {
                    timings.Add((reader.GetString(0), reader.GetDouble(1)));
                }
            }

            if (timings.Count(timing => timing.Name == "submit") >= tasks.Count || TimeProvider.System.GetElapsedTime(waiting) > Settling)
            {
                return timings.GroupBy(timing => timing.Name).ToDictionary(group => group.Key, group => group.Select(timing => timing.Milliseconds).ToArray());
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, cancellationToken);
        }
    }

    /// <summary>Writes them as reports of the same kind, with the gate as thresholds.</summary>
    public static ThresholdResult[] Report(IReadOnlyDictionary<string, double[]> timings, string folder)
    {
        var all = timings.SelectMany(pair => pair.Value.Select(milliseconds => (pair.Key, milliseconds))).ToList();
        if (all.Count == 0)
        {
            throw new LoadException("The platform kept no figures of these jobs. Is the connection string that of its database?");
        }

        // Measured already: a step's custom latency takes the measured time's place.
        var next = -1;
        var replay = Scenario.Create("platform", async context =>
        {
            var (name, milliseconds) = all[Interlocked.Increment(ref next)];
            await Step.Run(name, context, () => Task.FromResult(Response.Ok(customLatencyMs: Math.Max(0.001, milliseconds))));
            return Response.Ok(customLatencyMs: Math.Max(0.001, milliseconds));
        }).WithoutWarmUp().WithLoadSimulations(Simulation.IterationsForConstant(copies: 1, iterations: all.Count)).WithThresholds(
            Threshold.Create("submit", stats => stats.Ok.Latency.Percent99 <= 50),
            Threshold.Create("dispatch", stats => stats.Ok.Latency.Percent99 <= 50));
        return NBomberRunner.RegisterScenarios(replay).WithTestSuite("rendertrust").WithTestName("figures of the platform itself")
            .WithReportFolder(folder).WithReportFileName("platform").Run().Thresholds;
    }

    public static IEnumerable<Figure> Figures(IReadOnlyDictionary<string, double[]> timings)
    {
        foreach (var (name, values) in timings.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var sorted = values.Order().ToArray();
            double At(double share) => Math.Round(sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)], 2);
            yield return new Figure(name, sorted.Length, At(0.5), At(0.95), At(0.99), Math.Round(sorted[^1], 2));
        }
    }
}
