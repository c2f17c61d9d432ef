using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Blobs;

/// <summary>An attempt has written all that it may.</summary>
internal sealed class AttemptBudgetException() : Exception("The attempt's outputs are larger than it may write.");

/// <summary>
/// Bytes that each attempt may still write through this replica, told by its lease token. A node's stream and its blobs come to one
/// replica as a rule; a node that changes replicas begins anew there.
/// </summary>
internal sealed class AttemptBudgets(IOptions<BlobOptions> options, TimeProvider time)
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<AttemptId, Budget> budgets = new();
    private long sweptAt = time.GetTimestamp();

    public Budget Of(LeaseBlobClaims claims)
    {
        Sweep();
        return budgets.AddOrUpdate(
            claims.AttemptId,
            static (_, given) => new Budget(given.Limit, given.ExpiresAt),
            static (_, budget, given) => budget.Extend(given.ExpiresAt),
            (Limit: options.Value.MaxBytesPerAttempt, claims.ExpiresAt));
    }

    /// <summary>Forgets attempts whose last token has ended: nobody can write for them any more.</summary>
    private void Sweep()
    {
        var last = Interlocked.Read(ref sweptAt);
        if (time.GetElapsedTime(last) < SweepInterval || Interlocked.CompareExchange(ref sweptAt, time.GetTimestamp(), last) != last)
        {
            return;
        }

        foreach (var pair in budgets.Where(pair => pair.Value.ExpiresAt <= time.GetUtcNow()))
        {
            budgets.TryRemove(pair);
        }
    }

    internal sealed class Budget(long bytes, DateTimeOffset expiresAt)
    {
        private readonly Lock access = new();
        private long left = bytes;
        private DateTimeOffset expiry = expiresAt;

        public DateTimeOffset ExpiresAt
        {
            get
            {
                lock (access)
                {
                    return expiry;
                }
            }
        }

        /// <summary>False, and nothing is taken, when that much is not left.</summary>
        public bool TryTake(long bytes)
        {
            lock (access)
            {
                if (bytes > left)
                {
                    return false;
                }

                left -= bytes;
                return true;
            }
        }

        public void GiveBack(long bytes)
        {
            lock (access)
            {
                left += bytes;
            }
        }

        public Budget Extend(DateTimeOffset until)
        {
            lock (access)
            {
                expiry = until > expiry ? until : expiry;
                return this;
            }
        }
    }
}

/// <summary>Reads a body while its attempt's budget lasts: before the bytes come where their number was announced, else as they come.</summary>
internal sealed class BudgetedStream(Stream inner, AttemptBudgets.Budget budget, long taken) : Stream
{
    private long read;

    /// <summary>What was taken from the budget for this body.</summary>
    public long Taken { get; private set; } = taken;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await inner.ReadAsync(buffer, cancellationToken);
        read += count;
        if (read > Taken)
        {
            if (!budget.TryTake(read - Taken))
            {
                throw new AttemptBudgetException();
            }

            Taken = read;
        }

        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
