using Npgsql;

namespace RenderTrust.Scheduler.Tests;

/// <summary>A trigger that makes the next insert into a table fail, at the statement or at the commit, until disposed.</summary>
internal sealed class Sabotage : IAsyncDisposable
{
    private readonly NpgsqlDataSource admin;
    private readonly string table;
    private readonly string name;

    private Sabotage(NpgsqlDataSource admin, string table, string name) => (this.admin, this.table, this.name) = (admin, table, name);

    public static async Task<Sabotage> OnInsertAsync(NpgsqlDataSource admin, string table, bool atCommit, string act = "RAISE EXCEPTION 'sabotaged'")
    {
        var name = $"sabotage_{Guid.CreateVersion7():N}";
        await using var command = admin.CreateCommand(
            $"""
            CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN {act}; RETURN NULL; END $$;
            CREATE {(atCommit ? "CONSTRAINT" : "")} TRIGGER {name} AFTER INSERT OR UPDATE ON {table} {(atCommit ? "DEFERRABLE INITIALLY DEFERRED" : "")}
            FOR EACH ROW EXECUTE FUNCTION public.{name}();
            """);
        await command.ExecuteNonQueryAsync();
        return new Sabotage(admin, table, name);
    }

    public async ValueTask DisposeAsync()
    {
        await using var command = admin.CreateCommand($"DROP TRIGGER {name} ON {table}; DROP FUNCTION public.{name}()");
        await command.ExecuteNonQueryAsync();
    }
}
