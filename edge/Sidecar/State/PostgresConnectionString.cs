using Npgsql;

namespace RenderTrust.Sidecar.State;

/// <summary>
/// daprd takes libpq forms (<c>host=.. user=..</c> or <c>postgres://</c>), .NET writes <c>Host=..;Username=..</c>.
/// All three are accepted so that one YAML serves both sidecars.
/// </summary>
internal static class PostgresConnectionString
{
    public static string ToNpgsql(string text)
    {
        if (text.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase))
        {
            return FromUrl(new Uri(text));
        }

        return text.Contains(';', StringComparison.Ordinal) || !text.Contains(' ', StringComparison.Ordinal)
            ? new NpgsqlConnectionStringBuilder(text).ConnectionString
            : FromKeywords(text);
    }

    private static string FromUrl(Uri url)
    {
        var builder = new NpgsqlConnectionStringBuilder { Host = url.Host };
        if (url.Port > 0)
        {
            builder.Port = url.Port;
        }

        var user = url.UserInfo.Split(':', 2);
        if (user[0].Length > 0)
        {
            builder.Username = Uri.UnescapeDataString(user[0]);
        }

        if (user.Length == 2)
        {
            builder.Password = Uri.UnescapeDataString(user[1]);
        }

        if (url.AbsolutePath.Length > 1)
        {
            builder.Database = Uri.UnescapeDataString(url.AbsolutePath[1..]);
        }

        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split('=', 2);
            Set(builder, parts[0], parts.Length == 2 ? Uri.UnescapeDataString(parts[1]) : "");
        }

        return builder.ConnectionString;
    }

    private static string FromKeywords(string text)
    {
        var builder = new NpgsqlConnectionStringBuilder();
        var rest = text.AsSpan().Trim();
        while (!rest.IsEmpty)
        {
            var equals = rest.IndexOf('=');
            if (equals <= 0)
            {
                throw new ArgumentException($"'{rest}' is not keyword=value");
            }

            var key = rest[..equals].Trim().ToString();
            rest = rest[(equals + 1)..].TrimStart();
            string value;
            if (!rest.IsEmpty && rest[0] == '\'')
            {
                var end = rest[1..].IndexOf('\'');
                if (end < 0)
                {
                    throw new ArgumentException($"the value of {key} has no closing quote");
                }

                value = rest.Slice(1, end).ToString();
                rest = rest[(end + 2)..].TrimStart();
            }
            else
            {
                var end = rest.IndexOf(' ');
                value = (end < 0 ? rest : rest[..end]).ToString();
                rest = end < 0 ? [] : rest[end..].TrimStart();
            }

            Set(builder, key, value);
        }

        return builder.ConnectionString;
    }

    private static void Set(NpgsqlConnectionStringBuilder builder, string key, string value)
    {
        switch (key)
        {
            case "user":
                builder.Username = value;
                break;
            case "dbname":
                builder.Database = value;
                break;
            case "hostaddr":
                builder.Host = value;
                break;
            case "connect_timeout":
                builder.Timeout = int.Parse(value);
                break;
            case "search_path":
                builder.SearchPath = value;
                break;
            case "application_name":
                builder.ApplicationName = value;
                break;
            case "sslmode":
                builder.SslMode = Enum.Parse<SslMode>(value.Replace("-", "", StringComparison.Ordinal), ignoreCase: true);
                break;
            case "sslrootcert":
                builder.RootCertificate = value;
                break;
            // pgx's own pool settings have no meaning here; our pool is sized by maxConns.
            case "pool_max_conns" or "pool_min_conns" or "pool_max_conn_lifetime" or "pool_max_conn_idle_time":
                break;
            default:
                builder[key] = value;
                break;
        }
    }
}
