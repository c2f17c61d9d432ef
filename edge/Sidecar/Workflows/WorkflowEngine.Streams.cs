using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Workers' streams.</summary>
internal sealed partial class WorkflowEngine
{
    private static readonly TimeSpan SendLimit = TimeSpan.FromSeconds(10);

    /// <summary>Gives an app's work to one stream until it ends; what it has not answered then goes to the others.</summary>
    public async Task ServeStreamAsync(string appId, Func<WorkItem, CancellationToken, Task> send, CancellationToken cancellationToken)
    {
        var stream = Connect(appId);
        try
        {
            while (true)
            {
                var entry = await stream.Queue.TakeAsync(cancellationToken);
                if (Give(stream, entry) is { } item)
                {
                    await send(item, cancellationToken).WaitAsync(SendLimit, time, cancellationToken);
                }
            }
        }
        finally
        {
            Disconnect(stream);
        }
    }

    private WorkerStream Connect(string appId)
    {
        lock (gate)
        {
            var stream = new WorkerStream(queues[appId]);
            stream.Queue.Streams.Add(stream);
            LogConnected(logger, appId, stream.Queue.Streams.Count);

            // A new worker may have what the ones before lacked.
            foreach (var held in live.Values.Where(instance => instance.IsHeld && instance.Queue == stream.Queue).ToList())
            {
                held.IsHeld = false;
                Continue(held);
            }

            Poke();
            return stream;
        }
    }

    private WorkItem? Give(WorkerStream stream, WorkEntry entry)
    {
        lock (gate)
        {
            if (entry.IsOver)
            {
                return null;
            }

            if (session is { IsLeaseValid: false })
            {
                // Another host may be running it by now. Ours would be refused at the end, but need not begin.
                stream.Queue.End(entry);
                StartOver();
                return null;
            }

            entry.Stream = stream;
            stream.Given.Add(entry);
            return entry.ToWire();
        }
    }

    private void Disconnect(WorkerStream stream)
    {
        lock (gate)
        {
            stream.Queue.Disconnect(stream);
            stream.Queue.DesertedAt = time.GetTimestamp();
            LogDisconnected(logger, stream.Queue.AppId, stream.Queue.Streams.Count);
        }
    }

    [LoggerMessage(LogLevel.Information, "App {AppId}: a workflow worker connected, {Streams} are connected now")]
    private static partial void LogConnected(ILogger logger, string appId, int streams);

    [LoggerMessage(LogLevel.Information, "App {AppId}: a workflow worker disconnected, {Streams} are left")]
    private static partial void LogDisconnected(ILogger logger, string appId, int streams);
}
