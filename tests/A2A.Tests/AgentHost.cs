using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace RenderTrust.A2A.Tests;

/// <summary>The endpoint on a real Kestrel, with a scripted agent behind it.</summary>
internal sealed class AgentHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private AgentHost(WebApplication app, ScriptedAgent agent)
    {
        _app = app;
        Agent = agent;
        Http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        Client = new A2AClient(Http, new Uri(Http.BaseAddress, "/a2a")) { Extensions = ["urn:known", "urn:unknown"] };
    }

    public ScriptedAgent Agent { get; }

    public HttpClient Http { get; }

    public A2AClient Client { get; }

    public IServiceProvider Services => _app.Services;

    public static async Task<AgentHost> StartAsync(Action<A2AServerOptions>? configure = null, AgentCard? card = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var agent = new ScriptedAgent();
        builder.Services.AddSingleton<IA2AAgent>(agent).AddA2AServer();
        builder.Services.Configure<A2AServerOptions>(options =>
        {
            options.SupportedExtensions.Add("urn:known");
            configure?.Invoke(options);
        });
        var app = builder.Build();
        app.MapA2AJsonRpc("/a2a");
        app.MapA2AAgentCard((_, _) => ValueTask.FromResult(card ?? new AgentCard()), TimeSpan.FromMinutes(5));
        await app.StartAsync();
        return new AgentHost(app, agent);
    }

    public Task StopAsync() => _app.StopAsync();

    public async Task<HttpResponseMessage> PostAsync(string body, string? version = "1.0", string contentType = "application/json", string path = "/a2a")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8) };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        if (version is not null)
        {
            request.Headers.Add("A2A-Version", version);
        }

        return await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    public async Task<string> TextAsync(string body, string? version = "1.0", string contentType = "application/json")
    {
        using var response = await PostAsync(body, version, contentType);
        return await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }
}
