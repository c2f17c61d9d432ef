using System.Threading.Channels;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>One worker's open stream and what it has been given.</summary>
internal sealed class WorkerStream(AppQueue queue)
{
    public AppQueue Queue => queue;
    public HashSet<WorkEntry> Given { get; } = [];
}

/// <summary>The work of one app, shared by all its streams. Changed only under the engine's lock, except for reading the channel.</summary>
internal sealed class AppQueue(string appId, long messageBytesMax)
{
    // Bounded by what is in memory of the instances themselves.
    private readonly Channel<WorkEntry> ready = Channel.CreateUnbounded<WorkEntry>();
    private readonly Dictionary<(string InstanceId, int TaskId), List<ActivityEntry>> activities = [];

    public string AppId => appId;

    /// <summary>What a worker accepts in one message.</summary>
    public long MessageBytesMax => messageBytesMax;
    public HashSet<WorkerStream> Streams { get; } = [];

    /// <summary>Since when no worker is connected.</summary>
    public long DesertedAt { get; set; }

    public ValueTask<WorkEntry> TakeAsync(CancellationToken cancellationToken) => ready.Reader.ReadAsync(cancellationToken);

    public void Add(TurnEntry turn) => ready.Writer.TryWrite(turn);

    public void Add(ActivityEntry activity)
    {
        if (!activities.TryGetValue(activity.Id, out var entries))
        {
            activities[activity.Id] = entries = [];
        }

        entries.Add(activity);
        ready.Writer.TryWrite(activity);
    }

    /// <summary>What a lost stream has not answered is given out again.</summary>
    public void Disconnect(WorkerStream stream)
    {
        Streams.Remove(stream);
        foreach (var entry in stream.Given.Where(entry => !entry.IsOver))
        {
            entry.Stream = null;
            ready.Writer.TryWrite(entry);
        }

        stream.Given.Clear();
    }

    /// <summary>By token where the worker gave it back, else the one that was given out first.</summary>
    public ActivityEntry? Find(string instanceId, int taskId, string token) =>
        !activities.TryGetValue((instanceId, taskId), out var entries) ? null
        : token.Length == 0 ? entries[0]
        : entries.Find(entry => entry.Token == token);

    public void End(WorkEntry entry)
    {
        entry.IsOver = true;
        entry.Stream?.Given.Remove(entry);
        if (entry is ActivityEntry activity && activities.TryGetValue(activity.Id, out var entries) && entries.Remove(activity) && entries.Count == 0)
        {
            activities.Remove(activity.Id);
        }
    }
}
