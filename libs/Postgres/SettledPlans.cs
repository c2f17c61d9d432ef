using Npgsql;

namespace RenderTrust.Postgres;

/// <summary>What every session of a pool is set to.</summary>
public static class SettledPlans
{
    /// <summary>
    /// A statement is planned once and not with each set of values: the values that come here are ids and positions, for which the best plan is always the same, and
    /// planning took longer than running. A pool with this must not reset its sessions (<c>NoResetOnClose</c>).
    /// </summary>
    /// <param name="builder">Of the pool.</param>
    /// <param name="more">Further settings, as SQL.</param>
    public static NpgsqlDataSourceBuilder UseSettledPlans(this NpgsqlDataSourceBuilder builder, string more = "")
    {
        ArgumentNullException.ThrowIfNull(builder);
        var settings = $"SET plan_cache_mode = force_generic_plan; SET jit = off; {more}";
        return builder.UsePhysicalConnectionInitializer(
            connection =>
            {
                using var command = new NpgsqlCommand(settings, connection);
                command.ExecuteNonQuery();
            },
            async connection =>
            {
                await using var command = new NpgsqlCommand(settings, connection);
                await command.ExecuteNonQueryAsync();
            });
    }
}
