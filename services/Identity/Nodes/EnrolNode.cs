using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Outcome of an enrolment, in the order of the checks.</summary>
internal enum EnrolOutcome
{
    Enrolled,
    AlreadyEnrolled,
    UnknownToken,
    ExpiredToken,
    UsedToken,
    RevokedNode,
    NotThePoolKey,
    KeyInUse,
}

/// <summary>
/// A machine becomes a node: one-time token, certificate request (its signature proves the TLS key), encryption key.
/// A machine that crashed before it stored the answer asks again with the same token and keys, and gets the same node.
/// </summary>
internal static partial class EnrolNode
{
    private const string Overflow = "overflow";

    public static async Task<Results<Ok<EnrolNodeResponse>, ProblemHttpResult>> HandleAsync(
        EnrolNodeRequest request, NpgsqlDataSource database, CertificateAuthority authority, PlatformKeys keys, KeyStatements statements, Outbox outbox,
        TimeProvider time, ILogger<EnrolNodeRequest> logger, CancellationToken cancellationToken)
    {
        var (tlsKey, explanation) = CertificateAuthority.ReadRequest(request.CsrPem);
        if (tlsKey is null)
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badCertificateRequest", explanation);
        }

        if (!EcKeys.TryReadPoint(request.EncryptionKey, out var point))
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badEncryptionKey", "encryptionKey must be the base64url of an uncompressed 65-byte point of P-256.");
        }

        var wish = new Wish(Secrets.Hash(request.Token), tlsKey, SHA256.HashData(tlsKey.ExportSubjectPublicKeyInfo()), request.EncryptionKey, EcKeys.KeyId(point));
        var (outcome, node) = await EnrolAsync(wish, database, authority, time, cancellationToken);
        LogDecided(logger, outcome, node?.NodeId);
        if (node is null)
        {
            return Refuse(outcome);
        }

        outbox.Wake();
        return TypedResults.Ok(new EnrolNodeResponse(
            node.NodeId, node.Name, node.CertificatePem, keys.Trust.CaCertificatePem, keys.Trust.HubUrl,
            statements.Sign(node.Kind, node.NodeId.Value, node.Owner, wish.KeyId, wish.EncryptionKey, node.Name)));
    }

    private static async Task<(EnrolOutcome Outcome, Node? Node)> EnrolAsync(
        Wish wish, NpgsqlDataSource database, CertificateAuthority authority, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // The row lock makes two enrolments with one token take turns; the second finds the first's node.
        var token = await FindTokenAsync(wish, transaction, cancellationToken);
        if (token is null)
        {
            return (EnrolOutcome.UnknownToken, null);
        }

        if (await FindNodeAsync(wish, token, transaction, cancellationToken) is { } earlier)
        {
            return earlier;
        }

        var now = time.GetUtcNow();
        if (token.ExpiresAt <= now)
        {
            return (EnrolOutcome.ExpiredToken, null);
        }

        if (token.Kind == Overflow && !await IsPoolKeyAsync(wish, transaction, cancellationToken))
        {
            return (EnrolOutcome.NotThePoolKey, null);
        }

        var id = new NodeId(Guid.CreateVersion7(now));
        using var certificate = authority.IssueNode(id, token.Tenant, token.NodeName, wish.KeyId, wish.TlsKey);
        var node = new Node(id, token.Tenant, token.NodeName, certificate.ExportCertificatePem(), token.Kind);
        if (!await InsertAsync(node, wish, certificate.NotAfter.ToUniversalTime(), now, transaction, cancellationToken))
        {
            return (EnrolOutcome.KeyInUse, null);
        }

        await Evidence.AddAsync(
            transaction, time, "identity.nodeEnrolled", token.Tenant, id.Value,
            new() { ["encryptionKeyId"] = wish.KeyId, ["certificateSha256"] = Convert.ToHexStringLower(SHA256.HashData(certificate.RawData)) }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return (EnrolOutcome.Enrolled, node);
    }

    private static async Task<EnrolmentToken?> FindTokenAsync(Wish wish, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT tenant_id, node_name, expires_at, kind FROM node_tokens WHERE token_hash = $1 FOR UPDATE", transaction.Connection, transaction)
        {
            Parameters = { new() { Value = wish.TokenHash } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new EnrolmentToken(new TenantId(reader.GetGuid(0)), reader.GetString(1), await reader.GetFieldValueAsync<DateTimeOffset>(2, cancellationToken), reader.GetString(3))
            : null;
    }

    private static async Task<(EnrolOutcome, Node?)?> FindNodeAsync(Wish wish, EnrolmentToken token, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT node_id, name, certificate_pem, tls_key_sha256, encryption_key_id, revoked_at IS NOT NULL FROM nodes WHERE token_hash = $1", transaction.Connection, transaction)
        {
            Parameters = { new() { Value = wish.TokenHash } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        if (!(await reader.GetFieldValueAsync<byte[]>(3, cancellationToken)).AsSpan().SequenceEqual(wish.TlsKeySha256) || reader.GetString(4) != wish.KeyId)
        {
            return (EnrolOutcome.UsedToken, null);
        }

        return reader.GetBoolean(5)
            ? (EnrolOutcome.RevokedNode, null)
            : (EnrolOutcome.AlreadyEnrolled, new Node(new NodeId(reader.GetGuid(0)), token.Tenant, reader.GetString(1), reader.GetString(2), token.Kind));
    }

    private static async Task<bool> IsPoolKeyAsync(Wish wish, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT EXISTS (SELECT 1 FROM overflow_pools WHERE encryption_key_id = $1 AND withdrawn_at IS NULL)", transaction.Connection, transaction)
        {
            Parameters = { new() { Value = wish.KeyId } },
        };
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>
    /// False when one of the keys is another node's: keys are not shared, or a node could pass for its neighbour. A pool's key is for its agents alone:
    /// stated as an ordinary node's, it would open jobs whose creators did not opt in to overflow.
    /// </summary>
    private static async Task<bool> InsertAsync(
        Node node, Wish wish, DateTime certificateExpiresAt, DateTimeOffset now, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var insert = new NpgsqlCommand(
            """
            INSERT INTO nodes (node_id, tenant_id, name, token_hash, tls_key_sha256, encryption_key, encryption_key_id, certificate_pem, certificate_expires_at, created_at, kind)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
            WHERE ($11 = 'overflow') = EXISTS (SELECT 1 FROM overflow_pools WHERE encryption_key_id = $7 AND (withdrawn_at IS NULL OR $11 = 'node'))
            ON CONFLICT DO NOTHING
            """, transaction.Connection, transaction);
        foreach (var value in new object[]
        {
            node.NodeId.Value, node.Owner.Value, node.Name, wish.TokenHash, wish.TlsKeySha256, wish.EncryptionKey, wish.KeyId, node.CertificatePem, certificateExpiresAt, now.UtcDateTime, node.Kind,
        })
        {
            insert.Parameters.Add(new() { Value = value });
        }

        return await insert.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private static ProblemHttpResult Refuse(EnrolOutcome outcome) => outcome switch
    {
        EnrolOutcome.UsedToken => Problems.Refuse(
            StatusCodes.Status409Conflict, "usedToken", "The enrolment token was used by a machine with other keys. Make a new one: rendertrust node token."),
        EnrolOutcome.RevokedNode => Problems.Refuse(
            StatusCodes.Status403Forbidden, "revokedNode", "The node that this token made is revoked. Make a new token and new keys."),
        EnrolOutcome.NotThePoolKey => Problems.Refuse(
            StatusCodes.Status403Forbidden, "notThePoolKey", "The token is for an agent of the overflow pool, and the encryption key is not the one that is published for it. Enrol with the pool's key file."),
        EnrolOutcome.KeyInUse => Problems.Refuse(
            StatusCodes.Status409Conflict, "keyInUse", "One of the keys belongs to another node. Make new keys and ask again with the same token."),
        // Unknown and expired look the same from outside.
        _ => Problems.Refuse(StatusCodes.Status403Forbidden, "badToken", "The enrolment token is not known or has expired. Make a new one: rendertrust node token."),
    };

    private sealed record Wish(byte[] TokenHash, PublicKey TlsKey, byte[] TlsKeySha256, string EncryptionKey, string KeyId);

    private sealed record EnrolmentToken(TenantId Tenant, string NodeName, DateTimeOffset ExpiresAt, string Kind);

    private sealed record Node(NodeId NodeId, TenantId Owner, string Name, string CertificatePem, string Kind);

    [LoggerMessage(LogLevel.Information, "Enrolment: {Outcome}, node {NodeId}")]
    private static partial void LogDecided(ILogger logger, EnrolOutcome outcome, NodeId? nodeId);
}
