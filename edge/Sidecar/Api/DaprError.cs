using Grpc.Core;

namespace RenderTrust.Sidecar.Api;

/// <summary>A refusal in daprd's words: one body for HTTP, one status for gRPC.</summary>
internal sealed class DaprError(int httpStatus, StatusCode grpcStatus, string code, string message) : Exception(message)
{
    public int HttpStatus => httpStatus;
    public StatusCode GrpcStatus => grpcStatus;
    public string Code => code;

    public static DaprError Malformed(string message) => new(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", message);

    public static DaprError NotServed(string what) => new(501, StatusCode.Unimplemented, "ERR_NOT_IMPLEMENTED",
        $"{what} is not served by the embedded sidecar; run with the real daprd (./rendertrust up --sidecar daprd)");
}
