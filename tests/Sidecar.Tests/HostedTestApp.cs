using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace RenderTrust.Sidecar.Tests;

/// <summary>A small app inside the test process, hosted by the sidecar as an app that runs elsewhere.</summary>
internal sealed class HostedTestApp : IAsyncDisposable
{
    private readonly WebApplication web;

    private HostedTestApp(WebApplication web) => this.web = web;

    /// <summary>Every request that reached the app, in order: "VERB path".</summary>
    public ConcurrentQueue<(string Line, IHeaderDictionary Headers, string Body)> Requests { get; } = new();

    public static async Task<HostedTestApp> StartAsync(int port, Action<WebApplication> map, Action<IServiceCollection>? services = null, Action<WebApplication>? use = null,
        HttpProtocols protocols = HttpProtocols.Http1)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = protocols);
            kestrel.Limits.MaxRequestBodySize = null;
        });
        builder.Services.AddRouting();
        services?.Invoke(builder.Services);
        var web = builder.Build();
        var app = new HostedTestApp(web);
        use?.Invoke(web);
        web.UseRouting();
        map(web);
        await web.StartAsync();
        return app;
    }

    public async ValueTask DisposeAsync()
    {
        await web.StopAsync();
        await web.DisposeAsync();
    }
}
