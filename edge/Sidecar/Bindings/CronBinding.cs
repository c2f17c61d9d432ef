using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Bindings;

/// <summary>bindings.cron: posts to the app's route at each tick; what is missed is not caught up.</summary>
internal sealed partial class CronBinding(string name, string route, bool isInputByMetadata, CronSchedule schedule)
{
    public string Name => name;

    public IAsyncDisposable Start(HostedApp app, AppClient client, TimeProvider time, ILogger logger)
    {
        var stopping = new CancellationTokenSource();
        var loop = RunAsync(app, client, time, logger, stopping.Token);
        return new Ending(async () =>
        {
            await stopping.CancelAsync();
            await loop;
            stopping.Dispose();
        });
    }

    private async Task RunAsync(HostedApp app, AppClient client, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            if (!isInputByMetadata && !await IsWantedAsync(app, client, cancellationToken))
            {
                LogNotWanted(logger, app.Id, name, route);
                return;
            }

            while (schedule.Next(time.GetUtcNow()) is { } next)
            {
                await time.DelayUntilAsync(next, cancellationToken);
                await TickAsync(app, client, time, logger, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The app or the host is going away; the binding ends with it.
        }
        catch (HttpRequestException e)
        {
            LogFailed(logger, e, app.Id, name);
        }
    }

    // daprd asks by OPTIONS whether the app has the route at all.
    private async Task<bool> IsWantedAsync(HostedApp app, AppClient client, CancellationToken cancellationToken)
    {
        using var request = client.NewRequest(app, HttpMethod.Options, route);
        using var response = await client.SendAsync(request, cancellationToken);
        return response.IsSuccessStatusCode || response.StatusCode == System.Net.HttpStatusCode.MethodNotAllowed;
    }

    private async Task TickAsync(HostedApp app, AppClient client, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        using var request = client.NewRequest(app, HttpMethod.Post, route);
        request.Content = new ByteArrayContent([]);
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.TryAddWithoutValidation("readTimeUTC", State.StateHttp.Rfc3339(time.GetUtcNow()));
        request.Headers.TryAddWithoutValidation("timeZone", "UTC");
        AppClient.AddTrace(request, null, null);
        try
        {
            using var response = await client.SendAsync(request, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                LogRefused(logger, app.Id, name, route, (int)response.StatusCode);
            }
        }
        catch (HttpRequestException e)
        {
            LogFailed(logger, e, app.Id, name);
        }
    }

    [LoggerMessage(LogLevel.Information, "App {AppId} has no route {Route}: binding {Binding} does not tick for it")]
    private static partial void LogNotWanted(ILogger logger, string appId, string binding, string route);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, binding {Binding}: route {Route} answered {Status}")]
    private static partial void LogRefused(ILogger logger, string appId, string binding, string route, int status);

    [LoggerMessage(LogLevel.Warning, "App {AppId}, binding {Binding}: a tick was lost")]
    private static partial void LogFailed(ILogger logger, Exception exception, string appId, string binding);
}
