using System.Data.Common;
using System.Globalization;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Npgsql;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Resilience;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.State;

/// <summary>One write as a caller asked for it: the key without its prefix.</summary>
internal sealed record StateRequest(
    string Key, ReadOnlyMemory<byte>? Value, string? Etag, bool FirstWrite, IReadOnlyDictionary<string, string> Metadata)
{
    public bool LastWrite { get; init; }

    /// <summary>The value was checked to be JSON: it came over HTTP, or was said to be by its contentType.</summary>
    public bool IsJson { get; init; }
}

/// <summary>A state store as one app sees it: the store, and how this app's keys are prefixed in it.</summary>
internal sealed class StateComponent(string name, IStateStore store, string? keyPrefix, bool isActorStore)
{
    private const string Separator = "||";
    private const int SqliteTooBig = 18;

    private ResilientStateStore? guarded;

    public string Name => name;
    public IStateStore Store => store;
    public bool IsActorStore => isActorStore;

    /// <summary>The store behind the component's outbound policy, where it has one.</summary>
    private IStateStore Guarded => guarded ?? store;

    public void Guard(ResiliencePolicy? outbound) => guarded = outbound is null ? null : new ResilientStateStore(store, outbound);

    public static string? PrefixFor(string? strategy, string appId, string componentName) => strategy switch
    {
        null or "" or "appid" => appId,
        "name" => componentName,
        "none" => null,
        "namespace" => Environment.GetEnvironmentVariable("NAMESPACE") is { Length: > 0 } space ? $"{space}.{appId}" : appId,
        { } other => other.ToLowerInvariant(),
    };

    public async Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) =>
        (await GetAsync([key], "ERR_STATE_GET", cancellationToken))[0];

    public Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        GetAsync(keys, "ERR_STATE_BULK_GET", cancellationToken);

    private async Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, string code, CancellationToken cancellationToken)
    {
        var full = keys.Select(FullKey).ToArray();
        try
        {
            return await Guarded.GetAsync(full, cancellationToken);
        }
        catch (Exception e) when (IsStoreFailure(e))
        {
            throw FailureOf(e, code, $"fail to get {string.Join(", ", keys)} from state store {name}: {e.Message}");
        }
    }

    public Task WriteAsync(StateRequest request, CancellationToken cancellationToken) =>
        WriteAsync(request, ToWrite(request), request.Value is null ? "ERR_STATE_DELETE" : "ERR_STATE_SAVE", cancellationToken);

    /// <summary>Every one is tried, whatever becomes of the others; then the first refusal is told. A malformed one stops all before any is tried.</summary>
    public async Task WriteAllAsync(IReadOnlyList<StateRequest> requests, CancellationToken cancellationToken)
    {
        var writes = requests.Select(ToWrite).ToList();
        DaprError? first = null;
        for (var i = 0; i < writes.Count; i++)
        {
            try
            {
                await WriteAsync(requests[i], writes[i], requests[i].Value is null ? "ERR_STATE_BULK_DELETE" : "ERR_STATE_SAVE", cancellationToken);
            }
            catch (DaprError e)
            {
                first ??= e;
            }
        }

        if (first is not null)
        {
            throw first;
        }
    }

    private async Task WriteAsync(StateRequest request, StateWrite write, string code, CancellationToken cancellationToken)
    {
        var verb = request.Value is null ? "deleting" : "saving";
        StateOutcome outcome;
        try
        {
            outcome = await Guarded.WriteAsync(write, cancellationToken);
        }
        catch (Exception e) when (IsStoreFailure(e))
        {
            throw FailureOf(e, code, $"failed {verb} state in state store {name}: {e.Message}");
        }

        switch (outcome)
        {
            case StateOutcome.EtagInvalid:
                throw new DaprError(400, StatusCode.InvalidArgument, code,
                    $"failed {verb} state in state store {name}: invalid etag value '{request.Etag}' for key {request.Key}");
            case StateOutcome.EtagMismatch:
                throw new DaprError(409, StatusCode.Aborted, code,
                    $"failed {verb} state in state store {name}: possible etag mismatch for key {request.Key}");
            // With an etag-less first write there is nothing to compare, so daprd reports the store's own failure.
            case StateOutcome.AlreadyExists:
                throw new DaprError(500, StatusCode.Internal, code,
                    $"failed {verb} state in state store {name}: no item was updated, key {request.Key} exists and concurrency is first-write");
            default:
                return;
        }
    }

    public async Task TransactAsync(IReadOnlyList<StateRequest> requests, CancellationToken cancellationToken)
    {
        var writes = requests.Select(ToWrite).ToArray();
        StateOutcome outcome;
        try
        {
            outcome = await Guarded.TransactAsync(writes, cancellationToken);
        }
        catch (Exception e) when (IsStoreFailure(e))
        {
            throw FailureOf(e, "ERR_STATE_TRANSACTION", $"error while executing state transaction: {e.Message}");
        }

        if (outcome != StateOutcome.Done)
        {
            throw new DaprError(500, StatusCode.Internal, "ERR_STATE_TRANSACTION", outcome switch
            {
                StateOutcome.EtagInvalid => "error while executing state transaction: invalid etag value",
                StateOutcome.EtagMismatch => "error while executing state transaction: possible etag mismatch",
                _ => "error while executing state transaction: no item was updated",
            });
        }
    }

    public static DaprError NotAnOperation(string? kind) =>
        new(400, StatusCode.Unimplemented, "ERR_NOT_SUPPORTED_STATE_OPERATION", $"operation type {kind} not supported: use upsert or delete");

    /// <summary>The store failed, and not the caller or we.</summary>
    public static bool IsStoreFailure(Exception e) =>
        e is DbException or RedisException or TimeoutException or InvalidOperationException or System.Net.Sockets.SocketException;

    /// <summary>What to tell the caller of a store's failure: a value or key that this store cannot hold is the caller's to change, all else is not.</summary>
    public static DaprError FailureOf(Exception e, string code, string message) =>
        e is PostgresException { SqlState: ['2', '2', ..] or ['5', '4', ..] } or SqliteException { SqliteErrorCode: SqliteTooBig }
            ? new DaprError(400, StatusCode.InvalidArgument, code, message)
            : new DaprError(500, StatusCode.Internal, code, message);

    /// <summary>Null where the caller gave none; zero for "never".</summary>
    public static TimeSpan? ReadTtl(IReadOnlyDictionary<string, string> metadata)
    {
        if (!metadata.TryGetValue("ttlInSeconds", out var text) || text.Length == 0)
        {
            return null;
        }

        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds) || seconds < -1)
        {
            throw DaprError.Malformed($"ttlInSeconds '{text}' is not valid: write -1 for never or a number of seconds");
        }

        return TimeSpan.FromSeconds(Math.Max(0, seconds));
    }

    private StateWrite ToWrite(StateRequest request)
    {
        var ttl = request.Value is null ? null : ReadTtl(request.Metadata);
        return new StateWrite(FullKey(request.Key), request.Value, request.Etag, request.FirstWrite, ttl > TimeSpan.Zero ? ttl : null)
        {
            LastWrite = request.LastWrite,
            NeverExpires = ttl == TimeSpan.Zero,
            IsJson = request.IsJson,
        };
    }

    private string FullKey(string key)
    {
        if (key.Length == 0)
        {
            throw DaprError.Malformed("the key is empty");
        }

        if (key.Contains('\0', StringComparison.Ordinal))
        {
            throw DaprError.Malformed($"the key '{key.Replace("\0", "\\0", StringComparison.Ordinal)}' contains a NUL character, which not every store can keep");
        }

        if (key.Contains(Separator, StringComparison.Ordinal))
        {
            throw DaprError.Malformed($"input key/keyPrefix '{key}' can't contain '{Separator}'");
        }

        return keyPrefix is null ? key : keyPrefix + Separator + key;
    }
}
