using Npgsql;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>Remembers assertions and proofs until they would be refused for their age.</summary>
internal static class UsedProofs
{
    /// <summary>False when either was used before. One statement for both: a replayed half uses up nothing twice.</summary>
    public static async Task<bool> TryUseAsync(
        NpgsqlDataSource database, string thumbprint, DeviceAssertion assertion, DpopResult proof, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            INSERT INTO used_proofs (kind, key_thumbprint, proof_id, expires_at)
            VALUES ('assertion', $1, $2, $3), ('dpop', $1, $4, $5)
            ON CONFLICT DO NOTHING
            """);
        command.Parameters.Add(new() { Value = thumbprint });
        command.Parameters.Add(new() { Value = assertion.ProofId });
        command.Parameters.Add(new() { Value = assertion.ExpiresAt.UtcDateTime });
        command.Parameters.Add(new() { Value = proof.ProofId! });
        command.Parameters.Add(new() { Value = (proof.IssuedAt!.Value + DpopProofs.RememberFor).UtcDateTime });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 2;
    }
}
