using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler;

/// <summary>A parameter that Postgres must read as jsonb.</summary>
internal readonly record struct JsonValue(string? Text)
{
    public static JsonValue Of<T>(T value) => new(JsonSerializer.Serialize(value, WireJson.Options));
}

/// <summary>A parameter that may be null and so must name its type.</summary>
internal readonly record struct TypedValue(object? Value, NpgsqlDbType Type);

/// <summary>Positional parameters without ceremony; the SQL itself stays in the slices.</summary>
internal static class Sql
{
    public static void Add(this NpgsqlBatch batch, string sql, params object[] values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(Parameter(value));
        }

        batch.BatchCommands.Add(command);
    }

    public static NpgsqlCommand Command(this NpgsqlConnection connection, string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(Parameter(value));
        }

        return command;
    }

    public static NpgsqlCommand Command(this NpgsqlDataSource dataSource, string sql, params object[] values)
    {
        var command = dataSource.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(Parameter(value));
        }

        return command;
    }

    // Read without awaiting: Npgsql has the whole row in memory once ReadAsync returned.
    public static T? Json<T>(this NpgsqlDataReader reader, int ordinal) =>
        reader.IsDBNull(ordinal) ? default : JsonSerializer.Deserialize<T>(reader.GetString(ordinal), WireJson.Options);

    public static bool IsNull(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal);

    public static string? Text(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetString(ordinal);

    public static long? Long(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetInt64(ordinal);

    public static double? Double(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetDouble(ordinal);

    public static DateTimeOffset? Time(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.Instant(ordinal);

    public static DateTimeOffset Instant(this NpgsqlDataReader reader, int ordinal) => reader.GetFieldValue<DateTimeOffset>(ordinal);

    public static ulong Xid(this NpgsqlDataReader reader, int ordinal) => reader.GetFieldValue<ulong>(ordinal);

    public static int[] Ints(this NpgsqlDataReader reader, int ordinal) => reader.GetFieldValue<int[]>(ordinal);

    public static long[] Longs(this NpgsqlDataReader reader, int ordinal) => reader.GetFieldValue<long[]>(ordinal);

    public static byte[] Bytes(this NpgsqlDataReader reader, int ordinal) => reader.GetFieldValue<byte[]>(ordinal);

    public static string[] Texts(this NpgsqlDataReader reader, int ordinal) => reader.GetFieldValue<string[]>(ordinal);

    private static NpgsqlParameter Parameter(object value) => value switch
    {
        JsonValue json => new NpgsqlParameter { Value = (object?)json.Text ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb },
        TypedValue typed => new NpgsqlParameter { Value = typed.Value ?? DBNull.Value, NpgsqlDbType = typed.Type },
        DateTimeOffset time => new NpgsqlParameter { Value = time.ToUniversalTime() },
        _ => new NpgsqlParameter { Value = value },
    };
}

/// <summary>Enums as the tables spell them: the camelCase name.</summary>
internal static class SqlNames
{
    public static string Of<T>(T value)
        where T : struct, Enum =>
        JsonNamingPolicy.CamelCase.ConvertName(value.ToString());

    public static T Parse<T>(string text)
        where T : struct, Enum =>
        Enum.Parse<T>(text, ignoreCase: true);
}
