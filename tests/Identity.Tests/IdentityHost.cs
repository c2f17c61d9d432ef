using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.TestKit;

namespace RenderTrust.Identity.Tests;

/// <summary>The real service on a free port with a fresh database and key folder.</summary>
public sealed class IdentityHost : TestDatabase
{
    public const string ApiToken = "sidecar-secret";
    public const string PublicUrl = "https://render.example";

    private readonly List<WebApplication> apps = [];

    public string KeyDirectory { get; } = Path.Combine(Path.GetTempPath(), $"rt-keys-{Guid.CreateVersion7():N}");

    public HttpClient Http { get; private set; } = null!;

    public NpgsqlDataSource Database { get; private set; } = null!;

    internal IServiceProvider Services => apps[0].Services;

    internal WebApplication App => apps[0];

    public override async ValueTask InitializeAsync()
    {
        await InitializeDatabaseAsync();
        Http = await StartAsync();
    }

    /// <summary>Without a replica, for tests of the first start.</summary>
    public async Task InitializeDatabaseAsync()
    {
        await base.InitializeAsync();
        Database = DataSourceFor("identity");
    }

    /// <summary>One more replica, or one with other settings.</summary>
    public async Task<HttpClient> StartAsync(Dictionary<string, string?>? settings = null)
    {
        var builder = WebApplication.CreateBuilder();
        var values = new Dictionary<string, string?>
        {
            ["APP_PORT"] = "0", ["APP_API_TOKEN"] = ApiToken, ["RENDERTRUST_ENVIRONMENT"] = "Development", ["DAPR_HTTP_PORT"] = "1",
            ["ConnectionStrings:Postgres"] = ConnectionStringFor("identity"), ["Identity:KeyDirectory"] = KeyDirectory,
            ["Identity:PublicUrls:0"] = PublicUrl, ["Trust:RevocationPollSeconds"] = "0.1",
        };
        foreach (var (name, value) in settings ?? [])
        {
            values[name] = value;
        }

        // Null takes a setting away.
        builder.Configuration.AddInMemoryCollection(values.Where(pair => pair.Value is not null));
        builder.Configuration["Logging:LogLevel:Default"] = "None";
        var app = IdentityService.Build(builder);
        await app.StartAsync();
        apps.Add(app);
        return new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    public async Task<T> InternalGetAsync<T>(string path, string caller = "gateway")
    {
        using var request = Internal(HttpMethod.Get, path, caller);
        using var response = await Http.SendAsync(request);
        return await ReadAsync<T>(response);
    }

    public async Task<HttpResponseMessage> InternalPostAsync(string path, object body, string caller = "gateway")
    {
        using var request = Internal(HttpMethod.Post, path, caller);
        request.Content = JsonContent.Create(body, options: WireJson.Options);
        return await Http.SendAsync(request);
    }

    public async Task<long> CountAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync());
    }

    public static async Task<T> ReadAsync<T>(HttpResponseMessage response, HttpStatusCode expected = HttpStatusCode.OK)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"Expected {expected}, got {response.StatusCode}: {text}");
        return JsonSerializer.Deserialize<T>(text, WireJson.Options)!;
    }

    public static async Task<JsonElement> ProblemAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        var problem = await ReadAsync<JsonElement>(response, expected);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return problem;
    }

    public static async Task WaitAsync(Func<Task<bool>> condition, string what)
    {
        var end = DateTime.UtcNow.AddSeconds(20);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < end, $"Waited 20 s for: {what}");
            await Task.Delay(20);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (var app in apps)
        {
            await app.DisposeAsync();
        }

        await base.DisposeAsync();
        if (Directory.Exists(KeyDirectory))
        {
            Directory.Delete(KeyDirectory, recursive: true);
        }
    }

    private static HttpRequestMessage Internal(HttpMethod method, string path, string caller) =>
        new(method, path) { Headers = { { "dapr-api-token", ApiToken }, { "dapr-caller-app-id", caller } } };
}
