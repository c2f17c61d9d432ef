using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

internal static class ListRevocations
{
    public static async Task<Ok<RevocationList>> HandleAsync(NpgsqlDataSource database, TimeProvider time, CancellationToken cancellationToken) =>
        TypedResults.Ok(await RevocationLog.ReadAsync(database, time.GetUtcNow(), cancellationToken));
}
