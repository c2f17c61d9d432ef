using Npgsql;
using RenderTrust.Chaos.Tests.Platform;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>What it takes to get to a failpoint that a job in its usual course seldom meets: a job of that course, and often another part's death.</summary>
internal sealed class Provocation(ChaosPlatform platform, Load load, NpgsqlDataSource database)
{
    public static bool TakesFrozenNode(string failpoint) => failpoint.StartsWith("scheduler.lost.", StringComparison.Ordinal);

    /// <summary>Asks for jobs whose course leads there.</summary>
    public void Prepare(string failpoint)
    {
        switch (failpoint[..failpoint.LastIndexOf('.')])
        {
            case "saga.await" or "saga.return" or "saga.handover":
                load.Wish(MeantEnd.FailedByModule);
                break;
            case "overflow.agent":
                load.Wish(MeantEnd.CompletedByOverflow);
                break;
            case "agent.revoke" or "scheduler.revoke" or "scheduler.take" or "scheduler.return" or "scheduler.lost":
                load.Wish(MeantEnd.CanceledOrCompleted);
                break;
            case "ledger.expire":
                load.WishLeftHold();
                break;
        }
    }

    /// <summary>Who must fall silent now; null while it is too early, or for ever.</summary>
    public async Task<Part?> VictimAsync(string failpoint, CancellationToken cancellationToken) => failpoint[..failpoint.LastIndexOf('.')] switch
    {
        // An agent that comes back without its attempts, or does not in time.
        "scheduler.take" or "scheduler.lost" => await BusyNodeAsync(cancellationToken) is { } name ? platform.Find(name) : null,

        // A hub to which no node has come back yet.
        "scheduler.return" => platform.Find("gateway"),
        _ => null,
    };

    private async Task<string?> BusyNodeAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var command = database.CreateCommand(
                """
                SELECT n.name FROM scheduler.attempts a JOIN scheduler.nodes n USING (node_id)
                WHERE a.status = 'running' AND n.lane = 'fleet' AND n.status = 'online' LIMIT 1
                """);
            return (string?)await command.ExecuteScalarAsync(cancellationToken);
        }
        catch (NpgsqlException)
        {
            // The database is dead; asked again in a moment.
            return null;
        }
    }
}
