using System.Text.Json;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>The host's state as JSON, rewritten whole at each change so that a reader never sees half of it.</summary>
internal sealed class StatusFile : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private readonly string? path;
    private readonly AppDirectory apps;
    private readonly DateTimeOffset startedAt;
    private readonly SemaphoreSlim changed = new(1);
    private readonly CancellationTokenSource stopping = new();
    private readonly Task writing;
    private volatile bool isStopping;

    public StatusFile(string? path, AppDirectory apps, TimeProvider time)
    {
        this.path = path is null ? null : Path.GetFullPath(path);
        this.apps = apps;
        startedAt = time.GetUtcNow();
        foreach (var app in apps.Apps)
        {
            app.Changed += Touch;
        }

        writing = path is null ? Task.CompletedTask : WriteLoopAsync();
    }

    public void SetStopping()
    {
        isStopping = true;
        Touch();
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await writing;
        if (path is not null)
        {
            await WriteAsync();
        }

        stopping.Dispose();
        changed.Dispose();
    }

    private void Touch()
    {
        try
        {
            changed.Release();
        }
        catch (ObjectDisposedException)
        {
            // A late change after the last write: nobody reads the file any more.
        }
    }

    private async Task WriteLoopAsync()
    {
        try
        {
            while (true)
            {
                await changed.WaitAsync(stopping.Token);
                await WriteAsync();
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // DisposeAsync writes the last state.
        }
    }

    private async Task WriteAsync()
    {
        var states = apps.Apps.Select(app => (App: app, app.State)).ToList();
        var everyoneReady = states.TrueForAll(entry => entry.State.Health == AppHealth.Ready);
        var status = new
        {
            HostPid = Environment.ProcessId,
            StartedAt = startedAt,
            State = isStopping ? "stopping" : everyoneReady ? "ready" : "starting",
            Ready = everyoneReady && !isStopping,
            Apps = states.Select(entry => new
            {
                entry.App.Id,
                Pid = entry.State.ProcessId,
                entry.App.Definition.AppPort,
                DaprHttpPort = entry.App.Definition.HttpPort,
                DaprGrpcPort = entry.App.Definition.GrpcPort,
                Health = JsonNamingPolicy.CamelCase.ConvertName(entry.State.Health.ToString()),
                entry.State.Restarts,
                entry.State.Message,
                Log = entry.App.LogPath,
            }),
        };
        Directory.CreateDirectory(Path.GetDirectoryName(path!)!);
        var temporary = path + ".new";
        await File.WriteAllBytesAsync(temporary, JsonSerializer.SerializeToUtf8Bytes(status, Format));
        File.Move(temporary, path!, overwrite: true);
    }
}
