using System.Collections.Concurrent;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>What has happened so far, counted from several tasks at once.</summary>
internal sealed class Tally
{
    private readonly ConcurrentDictionary<string, int> randomKills = new();
    private int jobsAccepted;
    private int unitsTold;
    private int ups;
    private int upsFailed;
    private int freezes;
    private int provocations;
    private int sagasResumed;

    public int JobsAccepted => jobsAccepted;

    public int UnitsTold => unitsTold;

    public int Ups => ups;

    public int UpsFailed => upsFailed;

    public int Freezes => freezes;

    public int Provocations => provocations;

    public int SagasResumed => sagasResumed;

    public int RandomKills => randomKills.Values.Sum();

    public IReadOnlyDictionary<string, int> RandomKillsByPart => randomKills;

    public void JobAccepted() => Interlocked.Increment(ref jobsAccepted);

    public void UnitTold() => Interlocked.Increment(ref unitsTold);

    public void Killed(string part) => randomKills.AddOrUpdate(part, 1, (_, count) => count + 1);

    public void Resumed(int sagas) => Interlocked.Add(ref sagasResumed, sagas);

    public void Provoked() => Interlocked.Increment(ref provocations);

    public void Froze() => Interlocked.Increment(ref freezes);

    public void Up(bool succeeded)
    {
        Interlocked.Increment(ref ups);
        if (!succeeded)
        {
            Interlocked.Increment(ref upsFailed);
        }
    }
}
