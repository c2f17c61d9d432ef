using Npgsql;
using NpgsqlTypes;

namespace RenderTrust.Sidecar.State;

/// <summary>state.postgresql v2: table <c>{prefix}state</c>, values as bytes, etags as UUIDs.</summary>
internal sealed class PostgresLayoutV2(string prefix) : PostgresLayout(prefix + "state")
{
    public override string TablePrefix => prefix;

    public override string ExpiryColumn => "expires_at";

    public override string LevelKey => "migrations-state-v2-" + prefix;

    public override IReadOnlyList<string> Migrations =>
    [
        $"""
        CREATE TABLE {Table} (
            key text NOT NULL PRIMARY KEY,
            value bytea NOT NULL,
            etag uuid NOT NULL DEFAULT gen_random_uuid(),
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz,
            expires_at timestamptz
        );
        CREATE INDEX ON {Table} (expires_at)
        """,
    ];

    public override string SelectSql => $"SELECT key, value, etag, expires_at FROM {Table} WHERE key = ANY($1) AND {Live}";

    public override StateEntry Read(NpgsqlDataReader row) =>
        new(row.GetFieldValue<byte[]>(1), row.GetGuid(2).ToString(), Expiry(row, 3));

    public override bool TryBind(NpgsqlCommand command, StateWrite write)
    {
        var etag = Guid.Empty;
        if (write.Etag is not null && !Guid.TryParse(write.Etag, out etag))
        {
            return false;
        }

        command.CommandText = Sql(write);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = write.Key });
        if (write.Value is { } value)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value, NpgsqlDbType = NpgsqlDbType.Bytea });
            command.Parameters.Add(new NpgsqlParameter { Value = write.Ttl is { } ttl ? ttl.TotalSeconds : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Double });
        }

        if (write.Etag is not null)
        {
            command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = etag });
        }

        return true;
    }

    // A first write meets expired rows that the sweep has not taken yet: it may replace only those.
    private string Sql(StateWrite write) => (write.Value, write.Etag) switch
    {
        (null, null) => $"DELETE FROM {Table} WHERE key = $1",
        (null, _) => $"DELETE FROM {Table} WHERE key = $1 AND etag = $2 AND {Live}",
        (_, null) => $"""
            INSERT INTO {Table} AS t (key, value, etag, expires_at)
            VALUES ($1, $2, gen_random_uuid(), now() + $3 * interval '1 second')
            ON CONFLICT (key) DO UPDATE SET
                value = EXCLUDED.value, etag = EXCLUDED.etag, updated_at = now(), expires_at = EXCLUDED.expires_at
            {(write.FirstWrite ? "WHERE t.expires_at IS NOT NULL AND t.expires_at < now()" : "")}
            """,
        _ => $"""
            UPDATE {Table}
            SET value = $2, etag = gen_random_uuid(), updated_at = now(), expires_at = now() + $3 * interval '1 second'
            WHERE key = $1 AND etag = $4 AND {Live}
            """,
    };
}
