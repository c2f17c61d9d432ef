using Grpc.Core;
using Polly;
using Polly.Retry;
using Polly.Timeout;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.PubSub;

namespace RenderTrust.Sidecar.Resilience;

/// <summary>The target's breaker is open: the call was not made.</summary>
internal sealed class CircuitOpenException(string target) : InvalidOperationException($"circuit breaker is open for {target}");

/// <summary>
/// Retry around circuit breaker around timeout, for one target of one app. An answer can be a failure, too: a status outside of 200–399,
/// a subscriber's wish to have the event again.
/// </summary>
internal sealed class ResiliencePolicy
{
    private const double Growth = 1.5;
    private const double Spread = 0.5;

    private readonly ResiliencePipeline pipeline;
    private readonly string target;

    public ResiliencePolicy(string target, PolicyDefinition definition, TimeProvider time)
    {
        this.target = target;
        var builder = new ResiliencePipelineBuilder { TimeProvider = time };
        if (definition.Retry is { MaxRetries: not 0 } retry)
        {
            Retries = true;
            builder.AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = retry.MaxRetries < 0 ? int.MaxValue : retry.MaxRetries,
                ShouldHandle = args => ValueTask.FromResult(MayRetry(retry, args.Outcome.Result, args.Outcome.Exception)),
                DelayGenerator = args => ValueTask.FromResult<TimeSpan?>(DelayBefore(retry, args.AttemptNumber, Random.Shared.NextDouble())),
                OnRetry = args =>
                {
                    // The answer of a try that is repeated is nobody's; its connection goes back to the pool.
                    (args.Outcome.Result as IDisposable)?.Dispose();
                    return default;
                },
            });
        }

        if (definition.Breaker is { } breaker)
        {
            builder.AddStrategy(_ => new BreakerStrategy(new Breaker(breaker, time), target), new BreakerStrategyOptions());
        }

        if (definition.Timeout is { } timeout)
        {
            builder.AddTimeout(new TimeoutStrategyOptions { TimeoutGenerator = _ => ValueTask.FromResult(timeout) });
        }

        pipeline = builder.Build();
    }

    /// <summary>A body must be kept to be sent again.</summary>
    public bool Retries { get; }

    /// <exception cref="TimeoutException">The last try took too long.</exception>
    /// <exception cref="CircuitOpenException">The breaker is open.</exception>
    public async Task<T> ExecuteAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await pipeline.ExecuteAsync(static async (call, token) => await call(token), call, cancellationToken);
        }
        catch (TimeoutRejectedException e)
        {
            throw new TimeoutException($"{target} did not answer within {e.Timeout.TotalMilliseconds:0} ms", e);
        }
    }

    /// <summary>A fixed pause, or one that grows by half each time, ±50 %, up to the most.</summary>
    public static TimeSpan DelayBefore(RetryDefinition retry, int attempt, double random)
    {
        if (!retry.IsExponential)
        {
            return retry.Duration;
        }

        var grown = Math.Min(retry.Duration.TotalMilliseconds * Math.Pow(Growth, Math.Min(attempt, 200)), retry.MaxInterval.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Min(grown * (1 - Spread + (2 * Spread * random)), retry.MaxInterval.TotalMilliseconds));
    }

    public static bool IsFailure(object? result, Exception? exception) => exception is not null || result switch
    {
        HttpResponseMessage response => (int)response.StatusCode is < 200 or > 399,
        DeliveryOutcome outcome => outcome == DeliveryOutcome.Retry,
        _ => false,
    };

    private static bool MayRetry(RetryDefinition retry, object? result, Exception? exception)
    {
        // A refusal of the breaker, the caller's going and a caller's mistake stay what they are however often they are tried.
        if (!IsFailure(result, exception) || exception is OperationCanceledException or CircuitOpenException or Api.DaprError or BadHttpRequestException)
        {
            return false;
        }

        return (result, exception) switch
        {
            (HttpResponseMessage response, _) => retry.HttpCodes?.Contains((int)response.StatusCode) ?? true,
            (_, RpcException rpc) => retry.GrpcCodes?.Contains((int)rpc.StatusCode) ?? true,
            _ => true,
        };
    }

    private sealed class BreakerStrategyOptions : ResilienceStrategyOptions
    {
        public BreakerStrategyOptions() => Name = "CircuitBreaker";
    }

    private sealed class BreakerStrategy(Breaker breaker, string target) : ResilienceStrategy
    {
        protected override async ValueTask<Outcome<TResult>> ExecuteCore<TResult, TState>(
            Func<ResilienceContext, TState, ValueTask<Outcome<TResult>>> callback, ResilienceContext context, TState state)
        {
            if (!breaker.TryEnter(out var ticket))
            {
                return Outcome.FromException<TResult>(new CircuitOpenException(target));
            }

            var outcome = await callback(context, state);
            breaker.Leave(ticket, outcome.Exception is OperationCanceledException ? null : !IsFailure(outcome.Result, outcome.Exception));
            return outcome;
        }
    }
}
