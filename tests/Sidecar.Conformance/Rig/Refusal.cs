using Grpc.Core;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>A refusal over gRPC. Only its status is a promise; texts differ from version to version.</summary>
internal static class Refusal
{
    public static async Task HasStatusAsync(StatusCode status, Func<Task> call)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(call);
        Assert.True(refusal.StatusCode == status, $"Expected {status}, got {refusal.Status}");
    }

    public static Task HasStatusAsync<T>(StatusCode status, AsyncUnaryCall<T> call) => HasStatusAsync(status, () => call.ResponseAsync);
}
