using System.Net;
using RenderTrust.A2A;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.A2A;

public sealed class PublishedModuleTests : IAsyncLifetime
{
    private EdgeHost _host = null!;
    private A2AClient _agent = null!;

    public async ValueTask InitializeAsync()
    {
        // Long enough that the age of the list cannot be what makes the module appear.
        _host = await EdgeHost.StartAsync(("Gateway:A2A:CatalogCacheSeconds", "300"));
        _agent = _host.NewAgent(out _);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task A_published_module_is_shown_as_soon_as_the_gateway_hears_of_it()
    {
        var module = _host.Sidecar.Modules[0];
        _host.Sidecar.Modules.Clear();
        Assert.Contains("No module is published yet", await AskAsync(), StringComparison.Ordinal);
        _host.Sidecar.Modules.Add(module);
        Assert.Contains("No module is published yet", await AskAsync(), StringComparison.Ordinal);

        await TellAsync();

        Assert.Contains(module.Reference, await AskAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_the_catalog_is_away_the_last_list_serves_on_after_a_publication()
    {
        var module = _host.Sidecar.Modules[0];
        Assert.Contains(module.Reference, await AskAsync(), StringComparison.Ordinal);
        _host.Sidecar.Unreachable["catalog"] = true;

        await TellAsync();

        Assert.Contains(module.Reference, await AskAsync(), StringComparison.Ordinal);
    }

    private async Task<string> AskAsync() =>
        (await _agent.SendMessageAsync(TestData.Message(Part.FromText("What do you do?")), TestContext.Current.CancellationToken)).Message!.Parts[0].Text!;

    private async Task TellAsync()
    {
        using var sidecar = new HttpClient { BaseAddress = _host.AppUrl };
        using var answer = await sidecar.PostAsync("/internal/on/module-events", null, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }
}
