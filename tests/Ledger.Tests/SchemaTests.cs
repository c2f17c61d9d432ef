using Npgsql;
using RenderTrust.Postgres;
using RenderTrust.TestKit;

namespace RenderTrust.Ledger.Tests;

public sealed class SchemaTests(TestDatabase migrated, SchemaTests.OtherDatabase written) : IClassFixture<TestDatabase>, IClassFixture<SchemaTests.OtherDatabase>
{
    private const string Catalog =
        """
        SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text || ' ' || a.attgenerated::text
            || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'relation ' || relname || ' ' || relkind::text || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '') || ' ' || coalesce(reloptions::text, '')
        FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'v', 'S')
        UNION ALL
        SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || condeferrable || condeferred
        FROM pg_constraint WHERE connamespace = 'ledger'::regnamespace
        UNION ALL
        SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'ledger'::regnamespace
        UNION ALL
        SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'ledger'::regnamespace AND NOT t.tgisinternal
        UNION ALL
        SELECT 'function ' || pg_get_functiondef(oid) || ' ' || coalesce(proacl::text, '') || ' ' || proowner::regrole FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace
        UNION ALL
        SELECT 'view ' || relname || ' ' || pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'v'
        UNION ALL
        SELECT 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname = 'ledger'
        UNION ALL
        SELECT 'account ' || account || ' ' || kind FROM ledger.accounts
        ORDER BY 1
        """;

    public sealed class OtherDatabase : TestDatabase;

    [Fact]
    public async Task The_written_schema_is_what_all_migrations_make()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await migrated.MigrateAsync("ledger", typeof(LedgerApp).Assembly);
        await using var source = written.DataSourceFor("ledger");
        await Migrations.ApplyAsync(source, "ledger", [], cancellation);
        await LedgerDatabase.ExecuteAsync(source, await File.ReadAllTextAsync(Path.Combine(SourceFolder(), "schema.sql"), cancellation));

        var byMigrations = await CatalogAsync(migrated);
        var bySchema = await CatalogAsync(written);

        Assert.Equal(byMigrations, bySchema);
        Assert.True(byMigrations.Count > 150, $"The catalog has only {byMigrations.Count} lines: the comparison compares nothing.");
    }

    [Fact]
    public async Task The_ledgers_outbox_is_the_librarys()
    {
        await using var source = migrated.DataSourceFor("audit");
        await LedgerDatabase.ExecuteAsync(source, Outbox.TableSql);
        await migrated.MigrateAsync("ledger", typeof(LedgerApp).Assembly);
        const string columns = "SELECT array_agg(table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') ORDER BY table_name, column_name) FROM information_schema.columns WHERE table_schema = $1 AND table_name IN ('outbox', 'inbox')";
        var admin = migrated.Admin();

        Assert.Equal(
            await LedgerDatabase.ScalarAsync<string[]>(admin, columns, "audit"), await LedgerDatabase.ScalarAsync<string[]>(admin, columns, "ledger"));
    }

    private static async Task<List<string>> CatalogAsync(TestDatabase database)
    {
        // A connection of its own: another schema's search path would change how names are written.
        await using var source = NpgsqlDataSource.Create(database.ConnectionStringFor("ledger"));
        await using var command = source.CreateCommand(Catalog);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        var lines = new List<string>();
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            lines.Add(reader.GetString(0));
        }

        return lines;
    }

    private static string SourceFolder()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "RenderTrust.sln")))
            {
                return Path.Combine(folder, "services", "Ledger");
            }
        }

        throw new InvalidOperationException($"No RenderTrust.sln above {AppContext.BaseDirectory}. Run the tests from their build folder inside the tree.");
    }
}
