using RenderTrust.Contracts;
using RenderTrust.Gateway.Tests.Hosting;

namespace RenderTrust.Gateway.Tests.Dashboard;

/// <summary>Requests as a page of the dashboard makes them.</summary>
internal sealed class BrowserClient(EdgeHost host) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = host.Gateway };

    public string CookieName => $"rendertrust_{host.Gateway.Port}";

    public string? Cookie { get; set; }

    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? body = null, string? origin = "own", string? fetchSite = null, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, path) { Content = body };
        if (Cookie is not null)
        {
            request.Headers.Add("Cookie", $"{CookieName}={Cookie}");
        }

        if (origin is not null && method != HttpMethod.Get)
        {
            request.Headers.Add("Origin", origin == "own" ? host.Gateway.GetLeftPart(UriPartial.Authority) : origin);
        }

        if (fetchSite is not null)
        {
            request.Headers.Add("Sec-Fetch-Site", fetchSite);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        return _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    public static BrowserClient SignedIn(EdgeHost host, TenantId tenant) => new(host) { Cookie = host.Sidecar.SignIn(tenant) };

    public void Dispose() => _http.Dispose();
}
