using System.Globalization;
using System.Text;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace RenderTrust.Sidecar.State;

/// <summary>
/// state.postgresql v1: values as <c>jsonb</c>, where bytes that came without a promise of JSON are a base64 text marked by
/// <c>isbinary</c>; the etag is the row's <c>xmin</c>. JSON comes back as Postgres writes it, with its own order and spaces.
/// </summary>
internal sealed class PostgresLayoutV1(string table) : PostgresLayout(table)
{
    public override string TablePrefix => Table.EndsWith("state", StringComparison.Ordinal) ? Table[..^"state".Length] : Table + "_";

    public override string ExpiryColumn => "expiredate";

    public override string LevelKey => "migrations";

    public override IReadOnlyList<string> Migrations =>
    [
        $"""
        CREATE TABLE IF NOT EXISTS {Table} (
            key text NOT NULL PRIMARY KEY,
            value jsonb NOT NULL,
            isbinary boolean NOT NULL,
            insertdate timestamptz NOT NULL DEFAULT now(),
            updatedate timestamptz
        )
        """,
        $"ALTER TABLE {Table} ADD expiredate timestamptz",
    ];

    public override string SelectSql => $"SELECT key, value::text, isbinary, xmin::text, expiredate FROM {Table} WHERE key = ANY($1) AND {Live}";

    public override StateEntry Read(NpgsqlDataReader row)
    {
        var text = row.GetString(1);
        var value = row.GetBoolean(2)
            ? Convert.FromBase64String(JsonSerializer.Deserialize<string>(text) ?? "")
            : Encoding.UTF8.GetBytes(text);
        return new StateEntry(value, row.GetString(3), Expiry(row, 4));
    }

    public override bool TryBind(NpgsqlCommand command, StateWrite write)
    {
        var etag = 0u;
        if (write.Etag is not null && !uint.TryParse(write.Etag, NumberStyles.None, CultureInfo.InvariantCulture, out etag))
        {
            return false;
        }

        command.CommandText = Sql(write);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = write.Key });
        if (write.Value is { } value)
        {
            var isBinary = !IsJson(write, value.Span);
            command.Parameters.Add(new NpgsqlParameter
            {
                Value = isBinary ? $"\"{Convert.ToBase64String(value.Span)}\"" : Encoding.UTF8.GetString(value.Span), NpgsqlDbType = NpgsqlDbType.Jsonb,
            });
            command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = isBinary });
            command.Parameters.Add(new NpgsqlParameter { Value = write.Ttl is { } ttl ? ttl.TotalSeconds : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Double });
        }

        if (write.Etag is not null)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = etag, NpgsqlDbType = NpgsqlDbType.Xid });
        }

        return true;
    }

    // jsonb has no place for the character NUL in a text; such a value is kept as bytes instead of being refused.
    private static bool IsJson(StateWrite write, ReadOnlySpan<byte> value) => write.IsJson && value.IndexOf("\\u0000"u8) < 0;

    // A first write meets expired rows that the sweep has not taken yet: it may replace only those.
    private string Sql(StateWrite write) => (write.Value, write.Etag) switch
    {
        (null, null) => $"DELETE FROM {Table} WHERE key = $1",
        (null, _) => $"DELETE FROM {Table} WHERE key = $1 AND xmin = $2 AND {Live}",
        (_, null) => $"""
            INSERT INTO {Table} AS t (key, value, isbinary, expiredate)
            VALUES ($1, $2, $3, now() + $4 * interval '1 second')
            ON CONFLICT (key) DO UPDATE SET
                value = EXCLUDED.value, isbinary = EXCLUDED.isbinary, updatedate = now(), expiredate = EXCLUDED.expiredate
            {(write.FirstWrite ? "WHERE t.expiredate IS NOT NULL AND t.expiredate < now()" : "")}
            """,
        _ => $"""
            UPDATE {Table}
            SET value = $2, isbinary = $3, updatedate = now(), expiredate = now() + $4 * interval '1 second'
            WHERE key = $1 AND xmin = $5 AND {Live}
            """,
    };
}
