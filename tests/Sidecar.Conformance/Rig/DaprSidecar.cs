using System.Net.Http.Headers;
using System.Text;
using Dapr.Client;
using Grpc.Net.Client;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>One sidecar as an app sees it: an HTTP address, a gRPC address, and nothing else.</summary>
public sealed class DaprSidecar : IDisposable
{
    private readonly GrpcChannel channel;

    /// <param name="appPort">Where its app listens; 0 when it has none.</param>
    public DaprSidecar(string appId, string http, string grpc, int appPort, string? apiToken = null)
    {
        (AppId, Http, Grpc, AppPort) = (appId, http.TrimEnd('/'), grpc.TrimEnd('/'), appPort);
        // Redirects and encodings belong to the caller: a sidecar that followed one would show here.
        Client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false }) { BaseAddress = new Uri(Http) };
        channel = GrpcChannel.ForAddress(Grpc);
        Rpc = new Rpc.Dapr.DaprClient(channel);
        var builder = new DaprClientBuilder().UseHttpEndpoint(Http).UseGrpcEndpoint(Grpc);
        Sdk = (apiToken is null ? builder : builder.UseDaprApiToken(apiToken)).Build();
    }

    public string AppId { get; }

    public string Http { get; }

    public string Grpc { get; }

    public int HttpPort => new Uri(Http).Port;

    public int GrpcPort => new Uri(Grpc).Port;

    public int AppPort { get; }

    public HttpClient Client { get; }

    public Rpc.Dapr.DaprClient Rpc { get; }

    public DaprClient Sdk { get; }

    public Task<Answer> GetAsync(string path) => SendAsync("GET", path);

    public Task<Answer> PostAsync(string path, string body, string? contentType = "application/json", params (string Name, string Value)[] headers) =>
        SendAsync("POST", path, Encoding.UTF8.GetBytes(body), contentType, headers);

    public Task<Answer> PutAsync(string path, string body, string? contentType = "application/json") => SendAsync("PUT", path, Encoding.UTF8.GetBytes(body), contentType);

    public Task<Answer> DeleteAsync(string path, params (string Name, string Value)[] headers) => SendAsync("DELETE", path, headers: headers);

    public async Task<Answer> SendAsync(string method, string path, byte[]? body = null, string? contentType = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Parse(method), Http + path);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = contentType is null ? null : MediaTypeHeaderValue.Parse(contentType);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await Client.SendAsync(request, TestContext.Current.CancellationToken);
        var bytes = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        var all = response.Headers.Concat(response.Content.Headers)
            .GroupBy(header => header.Key, StringComparer.OrdinalIgnoreCase)
            .ToDictionary(group => group.Key, group => string.Join(",", group.SelectMany(header => header.Value)), StringComparer.OrdinalIgnoreCase);
        return new Answer((int)response.StatusCode, bytes, all);
    }

    public void Dispose()
    {
        Sdk.Dispose();
        channel.Dispose();
        Client.Dispose();
    }
}
