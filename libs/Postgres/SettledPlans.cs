using Npgsql;

namespace RenderTrust.Postgres;

/// <summary>What every session of a pool is set to.</summary>
public static class SettledPlans
{
    /// <summary>
    /// A statement is planned once and not with each set of values: the values that come here are ids and positions, for which the best plan is always the same, and
    /// planning took longer than running. Given at the session's start, because a pool sets its sessions back to that.
    /// </summary>
    /// <param name="settings">Of the pool.</param>
    /// <param name="more">Further settings, each as <c>-c name=value</c>.</param>
    public static void UseSettledPlans(this NpgsqlConnectionStringBuilder settings, string more = "")
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.Options = $"{settings.Options} -c plan_cache_mode=force_generic_plan -c jit=off {more}".Trim();
    }
}
