using System.Net.Sockets;
using Npgsql;
using RenderTrust.A2A;
using RenderTrust.Client;

namespace RenderTrust.Chaos.Tests;

/// <summary>What a client meets while parts of the platform are dead, and what a patient one tries again after.</summary>
internal static class Passing
{
    public static bool IsOne(Exception exception) => exception switch
    {
        RenderTrustException refusal => refusal.Error is RenderTrustError.Unreachable or RenderTrustError.Busy or RenderTrustError.ServerFault,
        A2AErrorException error => error.Error.Code == A2AErrorCodes.InternalError,
        A2AHttpException answer => (int)answer.Status is 429 or >= 500,
        HttpRequestException or IOException or SocketException or OperationCanceledException or NpgsqlException => true,
        _ => false,
    };
}
