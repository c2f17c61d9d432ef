using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>What a submission needs of the blob store.</summary>
internal interface ISealedBlobs
{
    Task<bool> ExistsAsync(TenantId tenant, string sha256, CancellationToken cancellationToken);

    /// <summary>Stores bytes whose hash has been computed; storing the same again changes nothing.</summary>
    Task StoreAsync(TenantId tenant, InlineBlob blob, CancellationToken cancellationToken);
}
