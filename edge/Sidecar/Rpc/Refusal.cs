using Grpc.Core;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>A refusal over gRPC. Its text travels in a header, so it must stay small whatever the caller's own words in it.</summary>
internal static class Refusal
{
    private const int HeadLength = 1200;

    // SDKs know some refusals by their last words.
    private const int TailLength = 600;

    public static RpcException Of(StatusCode status, string text) => new(new Status(status,
        text.Length <= HeadLength + TailLength ? text : $"{text[..HeadLength]} … {text[^TailLength..]}"));
}
