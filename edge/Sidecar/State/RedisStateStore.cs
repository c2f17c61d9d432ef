using System.Globalization;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.State;

/// <summary>
/// state.redis in daprd's layout: a hash for each key with <c>data</c>, <c>version</c> (the etag, counted up by each write) and,
/// once it was written with first-write, the mark <c>first-write</c>, after which only a write with the right etag is taken.
/// As with daprd an etag for a key that is not there is no conflict, and a write without a TTL leaves an earlier expiry as it is.
/// Other than daprd's, a transaction that is refused has written nothing.
/// </summary>
internal sealed class RedisStateStore : IStateStore
{
    private const int FieldsPerWrite = 5;
    private static readonly RedisValue[] Fields = ["data", "version"];

    // All writes are looked at before the first is made. What the earlier ones of the same script will have done to a key is
    // kept in "seen", so that two writes to one key are judged one after the other.
    private const string Script = """
        local width = 5
        local seen = {}

        local function look(key)
            local found = seen[key]
            if not found then
                local reply = redis.pcall('HMGET', key, 'version', 'first-write')
                if reply.err then
                    found = { alien = true }
                else
                    found = { version = reply[1], marked = reply[2] }
                end
                if found.version == '' then
                    found.version = false
                end
                seen[key] = found
            end
            return found
        end

        for i = 1, #KEYS do
            local at = (i - 1) * width
            local found = look(KEYS[i])
            local expected = ARGV[at + 2]
            local free = not found.version or found.version == expected
            if ARGV[at + 1] == 'set' then
                if not (free or (expected == '0' and not found.marked)) then
                    return i
                end
                found.version = string.format('%d', (tonumber(found.version or 0) or 0) + 1)
                found.marked = found.marked or ARGV[at + 4] == '1'
            else
                if not (free or expected == '0') then
                    return i
                end
                found.version = false
                found.marked = false
            end
        end

        for i = 1, #KEYS do
            local at = (i - 1) * width
            local key = KEYS[i]
            if seen[key].alien or ARGV[at + 1] == 'delete' then
                redis.call('DEL', key)
                seen[key].alien = false
            end
            if ARGV[at + 1] == 'set' then
                redis.call('HSET', key, 'data', ARGV[at + 3])
                redis.call('HINCRBY', key, 'version', 1)
                if ARGV[at + 4] == '1' then
                    redis.call('HSET', key, 'first-write', 0)
                end
                if ARGV[at + 5] == 'never' then
                    redis.call('PERSIST', key)
                elseif ARGV[at + 5] ~= '' then
                    redis.call('PEXPIRE', key, ARGV[at + 5])
                end
            end
        end
        return 0
        """;

    private readonly ConnectionMultiplexer connection;
    private readonly TimeSpan? defaultTtl;
    private readonly TimeProvider time;

    private RedisStateStore(ConnectionMultiplexer connection, TimeSpan? defaultTtl, TimeProvider time)
    {
        this.connection = connection;
        this.defaultTtl = defaultTtl;
        this.time = time;
    }

    private IDatabase Database => connection.GetDatabase();

    public static async Task<RedisStateStore> OpenAsync(ConfigurationOptions options, TimeSpan? defaultTtl, TimeProvider time) =>
        new(await ConnectionMultiplexer.ConnectAsync(options), defaultTtl, time);

    public async Task<IReadOnlyList<StateEntry?>> GetAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        // All are sent before the first answer is waited for.
        await Task.WhenAll([.. keys.Select(ReadAsync)]).WaitAsync(cancellationToken);

    public Task<StateOutcome> WriteAsync(StateWrite write, CancellationToken cancellationToken) =>
        RunAsync([write], write.FirstWrite, cancellationToken);

    // daprd sets no first-write mark in transactions; services would notice one on their next plain write.
    public Task<StateOutcome> TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        RunAsync(writes, mark: false, cancellationToken);

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    private async Task<StateEntry?> ReadAsync(string key)
    {
        var expiry = Database.KeyTimeToLiveAsync(key);
        RedisValue[] values;
        try
        {
            values = await Database.HashGetAsync(key, Fields);
        }
        catch (RedisServerException e) when (e.Message.StartsWith("WRONGTYPE", StringComparison.Ordinal))
        {
            // Written by something older than the hash layout: a plain text, which has no etag.
            await expiry;
            return new StateEntry((byte[]?)await Database.StringGetAsync(key) ?? [], "", null);
        }

        var left = await expiry;
        if (values[0].IsNull && values[1].IsNull)
        {
            return null;
        }

        return values[0].IsNull || values[1].IsNull
            ? throw new InvalidOperationException($"the hash {key} lacks its field data or version")
            : new StateEntry((byte[])values[0]!, values[1].ToString(), left is { } rest ? time.GetUtcNow() + rest : null);
    }

    private async Task<StateOutcome> RunAsync(IReadOnlyList<StateWrite> writes, bool mark, CancellationToken cancellationToken)
    {
        if (writes.Count == 0)
        {
            return StateOutcome.Done;
        }

        var keys = new RedisKey[writes.Count];
        var arguments = new RedisValue[writes.Count * FieldsPerWrite];
        for (var i = 0; i < writes.Count; i++)
        {
            var write = writes[i];
            if (Expected(write) is not { } expected)
            {
                return StateOutcome.EtagInvalid;
            }

            keys[i] = write.Key;
            var at = i * FieldsPerWrite;
            arguments[at] = write.Value is null ? "delete" : "set";
            arguments[at + 1] = expected;
            arguments[at + 2] = write.Value is { } value ? value : RedisValue.EmptyString;
            arguments[at + 3] = mark ? "1" : "0";
            arguments[at + 4] = Expiry(write);
        }

        var refused = (int)await Database.ScriptEvaluateAsync(Script, keys, arguments).WaitAsync(cancellationToken);
        if (refused == 0)
        {
            return StateOutcome.Done;
        }

        return writes[refused - 1] is { Value: not null, Etag: null } ? StateOutcome.AlreadyExists : StateOutcome.EtagMismatch;
    }

    /// <summary>The version a key must have; "0" for any. Null when the etag is none of ours.</summary>
    private static string? Expected(StateWrite write)
    {
        if (write.Etag is null)
        {
            return "0";
        }

        if (write.Value is null)
        {
            // A delete compares texts: what is no number simply does not match.
            return write.Etag;
        }

        if (write.LastWrite)
        {
            return "0";
        }

        return long.TryParse(write.Etag, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var version)
            ? version.ToString(CultureInfo.InvariantCulture)
            : null;
    }

    private string Expiry(StateWrite write)
    {
        if (write.NeverExpires)
        {
            return "never";
        }

        return (write.Ttl ?? defaultTtl) is { } ttl ? ((long)ttl.TotalMilliseconds).ToString(CultureInfo.InvariantCulture) : "";
    }
}
