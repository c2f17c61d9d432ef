using Npgsql;

namespace RenderTrust.TestKit;

/// <summary>
/// A schema as sorted lines: columns, constraints, indexes, triggers, functions. Two databases with the same lines have the same schema;
/// with it a test proves that a service's <c>schema.sql</c> is what all its migrations make.
/// </summary>
public static class SchemaSnapshot
{
    private const string Sql =
        """
        SELECT line FROM (
            SELECT format('column %s.%s %s%s default %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
                coalesce(pg_get_expr(d.adbin, d.adrelid), 'none'), a.attidentity) AS line
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = to_regnamespace($1) AND conrelid <> 0
            UNION ALL
            SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = to_regnamespace($1)
            UNION ALL
            SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = to_regnamespace($1) AND NOT t.tgisinternal
            UNION ALL
            SELECT format('function %s', pg_get_functiondef(p.oid)) FROM pg_proc p WHERE p.pronamespace = to_regnamespace($1) AND p.prokind = 'f'
        ) AS lines
        WHERE line NOT LIKE '%schema_migrations%' ORDER BY line COLLATE "C"
        """;

    public static async Task<IReadOnlyList<string>> ReadAsync(string connectionString, string schema)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(Sql);
        command.Parameters.Add(new() { Value = schema });
        await using var reader = await command.ExecuteReaderAsync();
        var lines = new List<string>();
        while (await reader.ReadAsync())
        {
            lines.Add(reader.GetString(0));
        }

        return lines;
    }

    /// <summary>What <paramref name="schemaSql"/> makes in a fresh database of its own.</summary>
    public static async Task<IReadOnlyList<string>> OfScriptAsync(string service, string schemaSql)
    {
        await using var database = new TestDatabase();
        await database.InitializeAsync();
        await using (var source = NpgsqlDataSource.Create(database.ConnectionStringFor(service)))
        await using (var command = source.CreateCommand(schemaSql))
        {
            await command.ExecuteNonQueryAsync();
        }

        return await ReadAsync(database.ConnectionStringFor(service), service);
    }
}
