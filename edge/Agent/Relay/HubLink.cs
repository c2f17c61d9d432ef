using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent.Outbox;
using RenderTrust.Agent.Units;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Relay;

/// <summary>Keeps a session to the hub, for ever: a node without a hub goes on with what it runs and delivers later.</summary>
internal sealed partial class HubLink(
    GrpcChannel channel, AttemptTable attempts, ResultDelivery delivery, Capabilities capabilities,
    IOptions<AgentOptions> options, TimeProvider time, ILoggerFactory loggers)
{
    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(200);

    // A session that lived this long was a good one: the next wait starts small again.
    private static readonly TimeSpan GoodSession = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = loggers.CreateLogger<HubLink>();
    private HubSession? _session;
    private long _firstSession;

    /// <summary>How long ago the hub first took this node; null while it has not.</summary>
    public TimeSpan? SinceFirstSession => Interlocked.Read(ref _firstSession) is not 0 and var first ? time.GetElapsedTime(first) : null;

    /// <summary>Sent if there is a session, else dropped: progress is worth nothing later.</summary>
    public void Report(Progress progress) => _session?.Send(new NodeFrame { Progress = progress });

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var wait = FirstWait;
        while (!cancellationToken.IsCancellationRequested)
        {
            var started = time.GetTimestamp();
            try
            {
                await RunSessionAsync(cancellationToken);
                LogEnded("the hub closed the stream");
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (RpcException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // Whatever ended the session, the answer is the same: wait and try again.
                LogEnded(Describe(exception));
            }

            wait = time.GetElapsedTime(started) >= GoodSession ? FirstWait : wait * 2;
            var longest = TimeSpan.FromSeconds(options.Value.ReconnectMaxSeconds);
            wait = wait < longest ? wait : longest;

            // Nodes that lost the same hub would otherwise all come back in the same instant.
            var jittered = wait * (0.5 + Random.Shared.NextDouble());
            try
            {
                await Task.Delay(jittered, time, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private static string Describe(Exception exception) => exception switch
    {
        RpcException rpc => $"{rpc.StatusCode}: {rpc.Status.Detail}{(rpc.InnerException is { } inner ? $" ({inner.GetBaseException().Message})" : "")}",
        OperationCanceledException => "the hub did not answer in time",
        _ => $"{exception.GetType().Name}: {exception.Message}",
    };

    private async Task RunSessionAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var call = new Hub.HubClient(channel).Connect(cancellationToken: stop.Token);
        using var session = new HubSession(
            call, attempts, delivery, TimeSpan.FromSeconds(options.Value.HeartbeatSeconds), time, loggers.CreateLogger<HubSession>());
        await session.OpenAsync(capabilities, stop.Token);
        LogConnected(channel.Target, session.Epoch);
        Interlocked.CompareExchange(ref _firstSession, time.GetTimestamp(), 0);
        _session = session;
#pragma warning disable CA2025 // It is awaited below, before the session goes.
        var delivering = delivery.RunAsync(session, stop.Token);
        var running = session.RunAsync(stop.Token);
#pragma warning restore CA2025
        try
        {
            await await Task.WhenAny(running, delivering);
        }
        finally
        {
            _session = null;
            await stop.CancelAsync();

            // Both: a session that still read would take offers beside the next one.
            await Task.WhenAll(running, delivering).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    [LoggerMessage(LogLevel.Information, "Connected to hub {Hub}, epoch {Epoch}")]
    private partial void LogConnected(string hub, long epoch);

    [LoggerMessage(LogLevel.Warning, "No session with the hub: {Reason}. Trying again")]
    private partial void LogEnded(string reason);
}
