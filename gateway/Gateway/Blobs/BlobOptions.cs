using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Gateway.Blobs;

/// <summary>Where sealed objects are kept, and how large and how old they may get on the way in.</summary>
internal sealed class BlobOptions
{
    public const string Section = "Gateway:Blobs";

    /// <summary>Folder of the filesystem store. Uploads in progress lie in it as well: moving them into place must not cross file systems.</summary>
    [Required]
    public string Directory { get; set; } = "";

    /// <summary>Largest object, in bytes. Default 16 GiB.</summary>
    [Range(1, long.MaxValue)]
    public long MaxUploadBytes { get; set; } = 16L * 1024 * 1024 * 1024;

    /// <summary>An upload that is not finished after this is discarded. Default 24 h.</summary>
    [Range(0.01, 720)]
    public double UploadExpiryHours { get; set; } = 24;

    /// <summary>Unfinished uploads of one tenant; the next one is refused. Default 1000.</summary>
    [Range(1, 1_000_000)]
    public int MaxOpenUploads { get; set; } = 1000;

    /// <summary>Bytes that the unfinished uploads of one tenant may promise together. Default 64 GiB.</summary>
    [Range(1, long.MaxValue)]
    public long MaxOpenUploadBytes { get; set; } = 64L * 1024 * 1024 * 1024;

    /// <summary>Bytes that a node may write for one attempt, all outputs together. Default 2 GiB.</summary>
    [Range(1, long.MaxValue)]
    public long MaxBytesPerAttempt { get; set; } = 2L * 1024 * 1024 * 1024;

    /// <summary>How often expired uploads are looked for. Default 10 min.</summary>
    [Range(0.01, 1440)]
    public double SweepMinutes { get; set; } = 10;
}
