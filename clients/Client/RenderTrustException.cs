using System.Net;

namespace RenderTrust.Client;

/// <summary>What kind of trouble it is, for code that reacts; the message is for people.</summary>
public enum RenderTrustError
{
    /// <summary>No answer: the platform is down, or the network is.</summary>
    Unreachable,

    /// <summary>401: the device is unknown or revoked, or its clock is wrong.</summary>
    SignInRefused,

    /// <summary>403: signed in, but not allowed.</summary>
    Forbidden,

    /// <summary>404, and A2A's task not found: unknown, or somebody else's.</summary>
    NotFound,

    /// <summary>409, and the same job id with other content.</summary>
    Conflict,

    /// <summary>Too little credit for the worst case of the job.</summary>
    InsufficientCredits,

    /// <summary>Any other refusal of what was asked; <see cref="RenderTrustException.Reason"/> says more.</summary>
    Refused,

    /// <summary>429, or a part of the platform that is away for the moment: try again.</summary>
    Busy,

    /// <summary>5xx: a fault of the platform.</summary>
    ServerFault,

    /// <summary>The job draft breaks a rule, found before anything was sent.</summary>
    InvalidDraft,

    /// <summary>No enrolled node could be found to seal for.</summary>
    NoRecipients,

    /// <summary>A key, certificate or answer that must be signed is not: somebody may be in between.</summary>
    Untrusted,

    /// <summary>An output is not what its node reported, or does not open.</summary>
    CorruptedOutput,

    /// <summary>An upload could not be finished.</summary>
    UploadFailed,

    /// <summary>The profile folder is missing something or is damaged.</summary>
    InvalidProfile,
}

/// <summary>Something was refused or went wrong. The message gives cause, value and remedy.</summary>
public sealed class RenderTrustException(RenderTrustError error, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    public RenderTrustError Error { get; } = error;

    /// <summary>HTTP status, where there was an answer.</summary>
    public HttpStatusCode? Status { get; init; }

    /// <summary>The platform's own word for the refusal, such as INSUFFICIENT_CREDITS; null if it gave none.</summary>
    public string? Reason { get; init; }

    /// <summary>JSON-RPC error code, where the answer was one.</summary>
    public int? RpcCode { get; init; }
}
