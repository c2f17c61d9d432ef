using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;

namespace RenderTrust.Cli.Demo;

/// <param name="Hits">Places where the creator's markers were found; must be empty.</param>
/// <param name="MissedControls">Planted leaks that the search did not find; must be empty, or the search proves nothing.</param>
internal sealed record PlaintextAuditResult(IReadOnlyList<PlaintextHit> Hits, IReadOnlyList<string> MissedControls, int Places, long SearchedBytes)
{
    public bool ControlFound => MissedControls.Count == 0;
}

/// <summary>
/// Reads everything that the platform keeps (a full database dump, blobs, the broker's file, logs, configuration, the nodes' state) and looks for the
/// creator's markers. Leaks are planted in each of these stores first, so that a search that finds nothing has shown that it could.
/// </summary>
internal sealed class PlaintextAudit(LocalPlatform platform)
{
    public async Task<PlaintextAuditResult> RunAsync(IReadOnlyList<string> markers, CancellationToken cancellationToken)
    {
        var control = $"RT-CONTROL-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12))}";
        var planted = await PlantAsync(control, cancellationToken);
        var places = new List<SearchedPlace>();
        try
        {
            places.Add(new SearchedPlace("database dump", await DumpAsync(cancellationToken)));
            AddFolder(places, "blob store", platform.Paths.Blobs);
            AddFolder(places, "broker", platform.Broker.Folder);
            AddFolder(places, "logs", platform.Paths.Logs);
            AddFile(places, "logs", Path.Combine(platform.Paths.Root, "postgres.log"));
            AddFolder(places, "configuration", platform.Paths.Configuration);
            AddNodes(places);
        }
        finally
        {
            await RemoveAsync(cancellationToken);
        }

        var hits = PlaintextSearch.Find(places, [.. markers, control]);
        var missed = planted.Where(plant => !hits.Any(hit => hit.Marker == control && hit.Place.StartsWith(plant.Place, StringComparison.Ordinal) && plant.Forms.Any(form => hit.Form.EndsWith(form, StringComparison.Ordinal))))
            .Select(plant => $"{plant.Place}: {string.Join(" or ", plant.Forms)}").ToList();
        return new PlaintextAuditResult([.. hits.Where(hit => hit.Marker != control)], missed, places.Count, places.Sum(place => (long)place.Bytes.Length));
    }

    private string ControlFile(string folder) => Path.Combine(folder, "plaintext-control");

    private async Task<IReadOnlyList<(string Place, string[] Forms)>> PlantAsync(string control, CancellationToken cancellationToken)
    {
        var raw = Encoding.UTF8.GetBytes(control);
        await using (var database = NpgsqlDataSource.Create(platform.Postgres.AdminOnDatabase))
        {
            await using var create = database.CreateCommand("CREATE SCHEMA plaintext_control; CREATE TABLE plaintext_control.leak (text text, bytes bytea);");
            await create.ExecuteNonQueryAsync(cancellationToken);
            await using var insert = database.CreateCommand("INSERT INTO plaintext_control.leak VALUES ($1, $2), ($3, $4)");
            insert.Parameters.Add(new NpgsqlParameter { Value = $"raw {control}" });
            insert.Parameters.Add(new NpgsqlParameter { Value = raw });
            insert.Parameters.Add(new NpgsqlParameter { Value = Convert.ToBase64String([1, .. raw]) });
            insert.Parameters.Add(new NpgsqlParameter { Value = Gzip(raw) });
            await insert.ExecuteNonQueryAsync(cancellationToken);
        }

        await File.WriteAllTextAsync(ControlFile(platform.Paths.Blobs), $"{Convert.ToBase64String(raw)} {Convert.ToBase64String([1, .. raw])} {Convert.ToBase64String([1, 2, .. raw])}", cancellationToken);
        await File.WriteAllBytesAsync(ControlFile(platform.Paths.Logs), Gzip(raw), cancellationToken);
        await platform.Broker.PlantAsync(control, cancellationToken);
        return
        [
            ("database dump", ["raw"]), ("database dump", ["hex", "hex/raw"]), ("database dump", ["base64+1"]), ("database dump", ["gzip/raw"]),
            ("blob store", ["base64+0"]), ("blob store", ["base64+1"]), ("blob store", ["base64+2"]), ("logs", ["gzip/raw"]), ("broker", ["raw"]),
        ];
    }

    private async Task RemoveAsync(CancellationToken cancellationToken)
    {
        File.Delete(ControlFile(platform.Paths.Blobs));
        File.Delete(ControlFile(platform.Paths.Logs));
        await using var database = NpgsqlDataSource.Create(platform.Postgres.AdminOnDatabase);
        await using var drop = database.CreateCommand("DROP SCHEMA IF EXISTS plaintext_control CASCADE");
        await drop.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>pg_dump's full dump; where only the bare server is installed, every table copied out as text, which holds the same rows.</summary>
    private async Task<byte[]> DumpAsync(CancellationToken cancellationToken)
    {
        // The one that came with the server: a pg_dump from elsewhere may be older than the server and refuses it.
        var dump = Path.Combine(PostgresCluster.FindPrograms(platform.Paths.RepositoryRoot) ?? "", "pg_dump");
        if (!File.Exists(dump) || platform.Postgres.IsExternal)
        {
            return await CopyTablesAsync(cancellationToken);
        }

        var admin = new NpgsqlConnectionStringBuilder(platform.Postgres.AdminOnDatabase);
        var file = Path.Combine(platform.Paths.Root, "dump.sql");
        await Shell.RunAsync(
            [dump, "-h", admin.Host!, "-p", $"{admin.Port}", "-U", admin.Username!, "-d", admin.Database!, "-f", file], cancellationToken,
            environment: new Dictionary<string, string> { ["PGPASSWORD"] = admin.Password ?? "" });
        try
        {
            return await File.ReadAllBytesAsync(file, cancellationToken);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private async Task<byte[]> CopyTablesAsync(CancellationToken cancellationToken)
    {
        await using var database = NpgsqlDataSource.Create(platform.Postgres.AdminOnDatabase);
        var tables = new List<string>();
        await using (var list = database.CreateCommand(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"))
        await using (var reader = await list.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                tables.Add(reader.GetString(0));
            }
        }

        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        var dump = new StringBuilder();
        foreach (var table in tables)
        {
            using var rows = await connection.BeginTextExportAsync($"COPY {table} TO STDOUT", cancellationToken);
            dump.Append("-- ").AppendLine(table).AppendLine(await rows.ReadToEndAsync(cancellationToken));
        }

        return Encoding.UTF8.GetBytes(dump.ToString());
    }

    /// <summary>What nodes keep of their own. Their engine's images are left out: the module is public, and units run in memory-backed scratch.</summary>
    private void AddNodes(List<SearchedPlace> places)
    {
        var nodes = Path.Combine(platform.Paths.Root, "nodes");
        foreach (var node in Directory.Exists(nodes) ? Directory.GetDirectories(nodes) : [])
        {
            foreach (var file in Directory.EnumerateFiles(node))
            {
                AddFile(places, "node state", file);
            }

            foreach (var folder in Directory.EnumerateDirectories(node).Where(folder => Path.GetFileName(folder) is not ("engine" or "images")))
            {
                AddFolder(places, "node state", folder);
            }
        }
    }

    private static void AddFolder(List<SearchedPlace> places, string name, string folder)
    {
        if (Directory.Exists(folder))
        {
            foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            {
                AddFile(places, name, file);
            }
        }
    }

    private static void AddFile(List<SearchedPlace> places, string name, string file)
    {
        try
        {
            // Names count as well: a path can carry what a file must not.
            places.Add(new SearchedPlace($"{name}: {Path.GetFileName(file)}", (byte[])[.. Encoding.UTF8.GetBytes(file), 0, .. ReadShared(file)]));
        }
        catch (FileNotFoundException)
        {
            // Rotated or cleaned up between the listing and now: nothing is kept there any more.
        }
    }

    private static byte[] ReadShared(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static byte[] Gzip(byte[] bytes)
    {
        var target = new MemoryStream();
        using (var stream = new GZipStream(target, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            stream.Write(bytes);
        }

        return target.ToArray();
    }
}
