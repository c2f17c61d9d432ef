using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Blobs;

/// <summary>What is known of an upload besides its bytes.</summary>
internal sealed record Upload(Guid UploadId, TenantId Tenant, string Sha256, long LengthBytes, DateTimeOffset ExpiresAt, bool Finished)
{
    public string Path => $"{Tus.Route}/{UploadId:D}";
}

/// <summary>Where an upload stands after its bytes were looked at.</summary>
internal enum UploadStanding
{
    Unknown,
    Locked,
    Open,
    Finished,
    Mismatched,
}
