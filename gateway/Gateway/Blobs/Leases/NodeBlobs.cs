using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Hub;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>
/// What a node may do with blobs: read those of the unit that it holds a lease on, and write that unit's outputs for the job's tenant.
/// Both its certificate and its lease token must say so; a stolen token is of no use to another node.
/// </summary>
internal static partial class NodeBlobs
{
    private const string Scheme = "Lease ";

    /// <summary>Authorised here and not by a policy: who calls is a node by its certificate, and policies know people and apps.</summary>
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var blobs = endpoints.MapGroup("/v1/node/blobs/{sha256}").AllowAnonymous().AddEndpointFilter(AuthoriseAsync);
        blobs.MapMethods("", [HttpMethods.Get, HttpMethods.Head], ReadAsync);
        blobs.MapPut("", WriteAsync);
    }

    private static async ValueTask<object?> AuthoriseAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var services = http.RequestServices;
        var logger = services.GetRequiredService<ILogger<LeaseTokens>>();
        if (!services.GetRequiredService<HubCertificates>().TryIdentify(http.Connection.ClientCertificate, out var node))
        {
            return Refuse(StatusCodes.Status401Unauthorized, "The client certificate is not one of a node.", "Enrol the node with this platform and connect with its certificate.");
        }

        if ((await services.GetRequiredService<Revocations>().GetAsync(http.RequestAborted)).Nodes.Contains(node.NodeId))
        {
            LogRefused(logger, node.NodeId, "revoked");
            return Refuse(StatusCodes.Status403Forbidden, "The node is revoked.", "Ask its owner; a new enrolment gives it a new identity.");
        }

        var header = http.Request.Headers.Authorization.ToString();
        if (!header.StartsWith(Scheme, StringComparison.Ordinal))
        {
            return Refuse(StatusCodes.Status401Unauthorized, "The lease token is missing.", "Send 'Authorization: Lease <token>' with the blob token of the lease offer.");
        }

        if (services.GetRequiredService<LeaseTokens>().Verify(header[Scheme.Length..], out var fault) is not { } claims)
        {
            LogRefused(logger, node.NodeId, fault.ToString());
            return Refuse(StatusCodes.Status401Unauthorized, "The lease token is not accepted.", fault == LeaseTokenFault.Expired
                ? "It ended with its lease. Only a new lease brings a new token."
                : "It was not issued by this platform, or its key is no longer known. Use the blob token of the lease offer as it came.");
        }

        if (claims.NodeId != node.NodeId)
        {
            LogRefused(logger, node.NodeId, "token of another node");
            return Refuse(StatusCodes.Status403Forbidden, "The lease token is another node's.", "A token works only together with the certificate of the node that it was issued to.");
        }

        if (!BlobHash.IsValid(http.Request.RouteValues["sha256"] as string))
        {
            return ReadBlob.MalformedHash();
        }

        http.Features.Set(claims);
        return await next(context);
    }

    private static async Task<Results<FileStreamHttpResult, ProblemHttpResult>> ReadAsync(string sha256, HttpContext http, IBlobStore blobs, CancellationToken cancellationToken)
    {
        var claims = http.Features.GetRequiredFeature<LeaseBlobClaims>();
        if (!claims.ReadableSha256.Contains(sha256, StringComparer.Ordinal))
        {
            return Refuse(StatusCodes.Status403Forbidden, "The lease does not cover this blob.", "A lease covers the manifest and the assets that its offer names.");
        }

        return await blobs.OpenReadAsync(claims.TenantId, sha256, cancellationToken) is { } blob ? ReadBlob.Send(http, blob, sha256) : ReadBlob.Unknown();
    }

    private static async Task<Results<Created, NoContent, ProblemHttpResult>> WriteAsync(
        string sha256, HttpContext http, IBlobStore blobs, AttemptBudgets budgets, IOptions<BlobOptions> options, ILogger<LeaseTokens> logger, CancellationToken cancellationToken)
    {
        var claims = http.Features.GetRequiredFeature<LeaseBlobClaims>();
        if (http.Request.ContentLength > options.Value.MaxUploadBytes)
        {
            return TooLarge(options.Value);
        }

        // The store's own limit counts here, not the server's limit for JSON bodies.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = null;
        }

        // What is there already takes no room: a node may not know that its last answer got lost.
        if (await blobs.ExistsAsync(claims.TenantId, sha256, cancellationToken))
        {
            LogWritten(logger, claims.NodeId, claims.AttemptId, sha256, PutOutcome.AlreadyThere);
            return TypedResults.NoContent();
        }

        var budget = budgets.Of(claims);
        var announced = http.Request.ContentLength ?? 0;
        if (!budget.TryTake(announced))
        {
            LogRefused(logger, claims.NodeId, "outputs over the attempt's budget");
            return OverBudget(options.Value);
        }

        PutOutcome? put = null;
        await using var body = new BudgetedStream(http.Request.Body, budget, announced);
        try
        {
            put = await blobs.PutAsync(claims.TenantId, sha256, body, cancellationToken);
        }
        catch (AttemptBudgetException)
        {
            LogRefused(logger, claims.NodeId, "outputs over the attempt's budget");
            return OverBudget(options.Value);
        }
        finally
        {
            if (put != PutOutcome.Stored)
            {
                // Nothing of it was kept.
                budget.GiveBack(body.Taken);
            }
        }

        Failpoint.Hit("gateway.blob.afterStore");
        var outcome = put.Value;
        LogWritten(logger, claims.NodeId, claims.AttemptId, sha256, outcome);
        return outcome switch
        {
            PutOutcome.Stored => TypedResults.Created(),
            PutOutcome.AlreadyThere => TypedResults.NoContent(),
            PutOutcome.NotSealed => Refuse(StatusCodes.Status415UnsupportedMediaType, "The output is not sealed.", SealedFormat.Refusal),
            PutOutcome.TooLarge => TooLarge(options.Value),
            _ => Refuse(StatusCodes.Status422UnprocessableEntity, "The bytes do not match their SHA-256.", "Nothing was kept. Send the same sealed bytes that the hash was made from."),
        };
    }

    private static ProblemHttpResult TooLarge(BlobOptions options) => Refuse(
        StatusCodes.Status413PayloadTooLarge, "The output is too large.", $"At most {options.MaxUploadBytes} bytes are taken for one blob (Gateway:Blobs:MaxUploadBytes).");

    private static ProblemHttpResult OverBudget(BlobOptions options) => Refuse(
        StatusCodes.Status413PayloadTooLarge, "The attempt's outputs are too large together.",
        $"An attempt may write {options.MaxBytesPerAttempt} bytes in all (Gateway:Blobs:MaxBytesPerAttempt), and this output is more than is left. Let the module write less, or split the job into smaller units.");

    private static ProblemHttpResult Refuse(int status, string title, string detail) => TypedResults.Problem(detail, statusCode: status, title: title);

    [LoggerMessage(LogLevel.Warning, "Node {NodeId} was refused a blob: {Cause}")]
    private static partial void LogRefused(ILogger logger, NodeId nodeId, string cause);

    [LoggerMessage(LogLevel.Information, "Node {NodeId} wrote blob {Sha256} for attempt {AttemptId}: {Outcome}")]
    private static partial void LogWritten(ILogger logger, NodeId nodeId, AttemptId attemptId, string sha256, PutOutcome outcome);
}
