using System.Collections.Concurrent;
using Npgsql;
using RenderTrust.TaskHubProtocol;
using RenderTrust.WorkflowLoad;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;
using Kind = RenderTrust.TaskHubProtocol.HistoryEvent.EventTypeOneofCase;

namespace RenderTrust.Workflow.Tests.Kills;

/// <summary>What is true of a run afterwards, read from the tables and through the sidecar; everything that should not be is a line.</summary>
internal sealed class Verdict
{
    public List<string> Wrong { get; } = [];

    public int Effects { get; private set; }

    public int Repeated { get; private set; }

    public int Instances { get; private set; }

    public string Describe(Starters starters) =>
        $"{starters.Ended.Count} workflows started, {Instances} instances with their children, {Effects} effects, {Repeated} activities ran more than once; "
        + $"{Wrong.Count} wrong, {starters.Complaints.Count} unexplained answers; longest life {starters.Ended.Max(one => one.Took).TotalSeconds:F1} s";

    public static async Task<Verdict> ReadAsync(IReadOnlyCollection<Lived> lived, EffectBook book, NpgsqlDataSource database, Hub hub, string appId, CancellationToken cancellationToken)
    {
        var verdict = new Verdict();
        verdict.Wrong.AddRange(lived.Where(one => one.Output != Shapes.Output).Select(one => $"{one.InstanceId} ended with '{one.Output}'"));
        verdict.Wrong.AddRange(lived.GroupBy(one => one.InstanceId).Where(group => group.Count() > 1).Select(group => $"{group.Key} ended for its client {group.Count()} times"));

        var expected = lived.SelectMany(one => Shapes.Expected(one.Shape, one.InstanceId)).ToDictionary(one => one.InstanceId, one => one.Steps);
        await verdict.ReadInstancesAsync(expected, database, appId, cancellationToken);
        verdict.ReadEffects(expected, await book.ReadAsync(cancellationToken));
        await verdict.ReadHistoriesAsync(lived, expected, hub, cancellationToken);
        return verdict;
    }

    private async Task ReadInstancesAsync(Dictionary<string, int[]> expected, NpgsqlDataSource database, string appId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT instance_id, status, completed IS NOT NULL FROM rendertrust_workflows WHERE app_id = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = appId });
        var seen = new HashSet<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var (id, status) = (reader.GetString(0), (OrchestrationStatus)reader.GetInt16(1));
            seen.Add(id);
            if (status != OrchestrationStatus.Completed || !reader.GetBoolean(2))
            {
                Wrong.Add($"{id} is {status}");
            }
        }

        Instances = seen.Count;
        Wrong.AddRange(expected.Keys.Except(seen).Select(id => $"{id} is lost"));
        Wrong.AddRange(seen.Except(expected.Keys).Select(id => $"{id} was never asked for"));
        await using var count = database.CreateCommand("SELECT count(*) FROM rendertrust_workflow_inbox");
        if (await count.ExecuteScalarAsync(cancellationToken) is long left and > 0)
        {
            Wrong.Add($"{left} messages were left behind");
        }
    }

    private void ReadEffects(Dictionary<string, int[]> expected, ILookup<string, (int Step, int Runs)> effects)
    {
        Effects = effects.Sum(group => group.Count());
        Repeated = effects.Sum(group => group.Count(effect => effect.Runs > 1));
        foreach (var (id, steps) in expected)
        {
            var done = effects[id].Select(effect => effect.Step).Order().ToArray();
            if (!done.SequenceEqual(steps))
            {
                Wrong.Add($"{id} did steps [{string.Join(' ', done)}] instead of [{string.Join(' ', steps)}]");
            }
        }

        Wrong.AddRange(effects.Select(group => group.Key).Except(expected.Keys).Select(id => $"{id} had effects and was never asked for"));
    }

    private async Task ReadHistoriesAsync(IReadOnlyCollection<Lived> lived, Dictionary<string, int[]> expected, Hub hub, CancellationToken cancellationToken)
    {
        var wrong = new ConcurrentQueue<string>();
        var endedAt = lived.ToDictionary(one => one.InstanceId, one => one.EndedAt);
        await Parallel.ForEachAsync(expected.Keys, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken }, async (id, token) =>
        {
            var history = (await hub.GetInstanceHistoryAsync(new GetInstanceHistoryRequest { InstanceId = id }, cancellationToken: token)).Events;
            var tasks = history.Where(happened => happened.EventTypeCase == Kind.TaskScheduled).Select(happened => happened.EventId).Order().ToList();
            var answers = history.Where(happened => happened.EventTypeCase == Kind.TaskCompleted).Select(happened => happened.TaskCompleted.TaskScheduledId).Order().ToList();
            var ends = history.Count(happened => happened.EventTypeCase == Kind.ExecutionCompleted);
            if (ends != 1 || tasks.Distinct().Count() != tasks.Count || !answers.SequenceEqual(tasks))
            {
                wrong.Enqueue($"{id} has {ends} ends, tasks [{string.Join(' ', tasks)}] and answers [{string.Join(' ', answers)}] in its history");
            }

            var state = (await hub.GetInstanceAsync(new GetInstanceRequest { InstanceId = id }, cancellationToken: token)).WorkflowState;
            // The database keeps microseconds, memory a little more.
            if (endedAt.TryGetValue(id, out var then) && (state.LastUpdatedTimestamp.ToDateTimeOffset() - then).Duration() > TimeSpan.FromMilliseconds(1))
            {
                wrong.Enqueue($"{id} was changed at {state.LastUpdatedTimestamp} after its end at {then:O}");
            }
        });
        Wrong.AddRange(wrong);
    }
}
