using System.Collections.Frozen;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>Everything revoked and not yet expired, as of one version.</summary>
public sealed record RevocationSnapshot(long Version, FrozenSet<Guid> Devices, FrozenSet<NodeId> Nodes, FrozenSet<Guid> ApiKeys)
{
    public bool IsRevokedSubject(Guid subject) => Devices.Contains(subject) || ApiKeys.Contains(subject);
}

public sealed class RevocationsChangedEventArgs(RevocationSnapshot snapshot) : EventArgs
{
    public RevocationSnapshot Snapshot { get; } = snapshot;
}

/// <summary>The list of revocations as this process knows it. The poll is the floor; a broadcast only makes it sooner.</summary>
public sealed class Revocations(IIdentityFacts facts, IOptions<TrustOptions> options, TimeProvider time) : IDisposable
{
    private readonly Channel<bool> wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly SemaphoreSlim refreshing = new(1, 1);
    private volatile Known? known;

    /// <summary>Raised after the version has risen. The hub ends the streams of revoked nodes by it.</summary>
    public event EventHandler<RevocationsChangedEventArgs>? Changed;

    internal ChannelReader<bool> Wakes => wakes.Reader;

    /// <summary>Ask identity now rather than with the next poll.</summary>
    public void Wake() => wakes.Writer.TryWrite(true);

    /// <summary>The present list. Throws <see cref="IdentityUnavailableException"/> when it is too old to be believed and identity cannot be asked.</summary>
    public async ValueTask<RevocationSnapshot> GetAsync(CancellationToken cancellationToken)
    {
        var maxAge = TimeSpan.FromSeconds(options.Value.RevocationMaxAgeSeconds);
        if (known is { } fresh && time.GetElapsedTime(fresh.FetchedAt) <= maxAge)
        {
            return fresh.Snapshot;
        }

        try
        {
            return await RefreshAsync(maxAge, cancellationToken);
        }
        catch (Exception exception) when (exception is UnknownOutcomeException or AppUnavailableException or AppCallException)
        {
            throw new IdentityUnavailableException(
                $"The list of revocations is older than {maxAge.TotalSeconds:0} s and identity cannot be asked, so no access token is believed. Check that identity runs.", exception);
        }
    }

    internal Task<RevocationSnapshot> RefreshAsync(CancellationToken cancellationToken) => RefreshAsync(TimeSpan.Zero, cancellationToken);

    private async Task<RevocationSnapshot> RefreshAsync(TimeSpan enough, CancellationToken cancellationToken)
    {
        RevocationSnapshot snapshot;
        bool changed;
        await refreshing.WaitAsync(cancellationToken);
        try
        {
            if (enough > TimeSpan.Zero && known is { } other && time.GetElapsedTime(other.FetchedAt) <= enough)
            {
                return other.Snapshot;
            }

            // Taken before the question: the answer is at least as new as this.
            var asked = time.GetTimestamp();
            var list = await facts.GetRevocationsAsync(cancellationToken);
            var before = known?.Snapshot;
            changed = before is null || before.Version != list.Version;
            snapshot = changed
                ? new RevocationSnapshot(list.Version, list.Devices.ToFrozenSet(), list.Nodes.ToFrozenSet(), list.ApiKeys.ToFrozenSet())
                : before!;
            known = new Known(snapshot, asked);
        }
        finally
        {
            refreshing.Release();
        }

        if (changed)
        {
            Changed?.Invoke(this, new RevocationsChangedEventArgs(snapshot));
        }

        return snapshot;
    }

    public void Dispose() => refreshing.Dispose();

    private sealed record Known(RevocationSnapshot Snapshot, long FetchedAt);
}

internal sealed partial class PollRevocationsLoop(Revocations revocations, IOptions<TrustOptions> options, TimeProvider time, ILogger<PollRevocationsLoop> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The sidecar comes up after the app: the first failures are the usual order of things.
        var failures = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await revocations.RefreshAsync(stoppingToken);
                if (failures >= 3)
                {
                    LogRecovered(logger, failures);
                }

                failures = 0;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                failures++;
                if (failures % 30 == 3)
                {
                    LogFailed(logger, exception, failures);
                }
            }

            await WaitAsync(stoppingToken);
        }
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // Replicas that start together would ask together for hours; ±10 % spreads them.
        var delay = Task.Delay(TimeSpan.FromSeconds(options.Value.RevocationPollSeconds * (0.9 + (Random.Shared.NextDouble() * 0.2))), time, limit.Token);
        var woken = revocations.Wakes.ReadAsync(limit.Token).AsTask();
        await Task.WhenAny(delay, woken);
        await limit.CancelAsync();
    }

    [LoggerMessage(LogLevel.Warning, "Asking identity for revocations failed {Failures} times in a row")]
    private static partial void LogFailed(ILogger logger, Exception exception, int failures);

    [LoggerMessage(LogLevel.Information, "Identity answers for revocations again, after {Failures} failures")]
    private static partial void LogRecovered(ILogger logger, int failures);
}
