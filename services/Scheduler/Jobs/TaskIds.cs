using System.Security.Cryptography;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>The A2A task of a job. Derived, so that a retried submission answers the same task without a look-up table.</summary>
internal static class TaskIds
{
    public static TaskId Of(TenantId tenantId, JobId jobId)
    {
        const int guidBytes = 16;
        var prefix = "rendertrust/task/v1"u8;
        Span<byte> input = stackalloc byte[prefix.Length + (2 * guidBytes)];
        prefix.CopyTo(input);
        tenantId.Value.TryWriteBytes(input[prefix.Length..], bigEndian: true, out _);
        jobId.Value.TryWriteBytes(input[(prefix.Length + guidBytes)..], bigEndian: true, out _);

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(input, hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new TaskId(new Guid(hash[..guidBytes], bigEndian: true));
    }

    /// <summary>What the job is known by in every table here and as its hold: job ids are only unique within their tenant.</summary>
    public static JobId KeyOf(TenantId tenantId, JobId clientJobId) => new(Of(tenantId, clientJobId).Value);
}
