using Npgsql;

namespace RenderTrust.Sidecar.State;

/// <summary>What differs between the tables of state.postgresql v1 and v2.</summary>
internal abstract class PostgresLayout(string table)
{
    public string Table => table;

    /// <summary>Goes before the names of our own tables that belong to this one.</summary>
    public abstract string TablePrefix { get; }

    public abstract string ExpiryColumn { get; }

    /// <summary>The row of the metadata table that tells how many of <see cref="Migrations"/> have been applied.</summary>
    public abstract string LevelKey { get; }

    public abstract IReadOnlyList<string> Migrations { get; }

    /// <summary>Reads what has not expired of the keys in $1; the first column is the key.</summary>
    public abstract string SelectSql { get; }

    public abstract StateEntry Read(NpgsqlDataReader row);

    /// <summary>Gives the command its text and parameters. False when the etag cannot be one of this layout's.</summary>
    public abstract bool TryBind(NpgsqlCommand command, StateWrite write);

    protected string Live => $"({ExpiryColumn} IS NULL OR {ExpiryColumn} >= now())";

    protected static DateTimeOffset? Expiry(NpgsqlDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.GetFieldValue<DateTimeOffset>(column);
}
