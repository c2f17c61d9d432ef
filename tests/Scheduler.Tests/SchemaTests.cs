using System.Text;
using Npgsql;
using RenderTrust.TestKit;

namespace RenderTrust.Scheduler.Tests;

public sealed class SchemaTests(TestDatabase migrated, SchemaTests.FromFile fromFile) : IClassFixture<TestDatabase>, IClassFixture<SchemaTests.FromFile>
{
    [Fact]
    public async Task The_schema_file_says_what_all_migrations_make()
    {
        await migrated.MigrateAsync("scheduler", typeof(SchedulerOptions).Assembly);

        Assert.Equal(await DescribeAsync(migrated.Admin()), await DescribeAsync(fromFile.Admin()));
    }

    [Fact]
    public void Status_changes_are_written_in_one_place_only()
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository(), "services/Scheduler"), "*.cs", SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal)))
        {
            var text = File.ReadAllText(file);
            if (Path.GetFileName(file) != "JobTransitions.cs")
            {
                Assert.DoesNotContain("UPDATE jobs SET status", text, StringComparison.Ordinal);
                Assert.DoesNotContain("UPDATE units SET", text, StringComparison.Ordinal);
            }
        }
    }

    internal static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "RenderTrust.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        }

        return folder;
    }

    /// <summary>Everything that a migration can make in the schema, in words that do not depend on the order of making.</summary>
    private static async Task<string> DescribeAsync(NpgsqlDataSource admin)
    {
        var text = new StringBuilder();
        foreach (var query in new[]
        {
            """
            SELECT c.relkind::text || ' ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text || ' ' || a.attidentity::text || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = 'scheduler'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'S') AND c.relname <> 'schema_migrations' ORDER BY 1
            """,
            "SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'scheduler'::regnamespace AND conrelid <> to_regclass('scheduler.schema_migrations') ORDER BY 1",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'scheduler' AND tablename <> 'schema_migrations' ORDER BY 1",
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'scheduler'::regnamespace ORDER BY 1",
            "SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'scheduler'::regnamespace AND NOT t.tgisinternal ORDER BY 1",
        })
        {
            await using var command = admin.CreateCommand(query);
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                text.AppendLine(reader.GetString(0));
            }
        }

        return text.ToString();
    }

    public sealed class FromFile : TestDatabase
    {
        public override async ValueTask InitializeAsync()
        {
            await base.InitializeAsync();
            await using var source = NpgsqlDataSource.Create(ConnectionStringFor("scheduler"));
            await using var command = source.CreateCommand(
                "CREATE TABLE schema_migrations (number int PRIMARY KEY);\n" + await File.ReadAllTextAsync(Path.Combine(Repository(), "services/Scheduler/schema.sql")));
            await command.ExecuteNonQueryAsync();
        }
    }
}
