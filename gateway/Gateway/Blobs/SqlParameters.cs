using Npgsql;

namespace RenderTrust.Gateway.Blobs;

internal static class SqlParameters
{
    /// <summary>Positional values, $1 first.</summary>
    public static NpgsqlCommand With(this NpgsqlCommand command, params ReadOnlySpan<object> values)
    {
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return command;
    }
}
