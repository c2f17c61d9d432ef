using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.Client;
using RenderTrust.Contracts;
using RenderTrust.JobLoad.Jobs;

namespace RenderTrust.JobLoad.Requests;

internal sealed record GetTaskCommand(Uri Gateway, string Profile, int Seconds, string? Result);

/// <summary>A2A GetTask of one finished job with an API key, as third-party clients call it, against a bare echo of the same request and size of answer.</summary>
internal static class MeasureGetTask
{
    private const int Connections = 8;

    public static async Task<int> RunAsync(GetTaskCommand command, CancellationToken cancellationToken)
    {
        using var client = await Creator.OpenAsync(command.Gateway, command.Profile, cancellationToken);
        var taskId = await FinishOneJobAsync(client, command, cancellationToken);
        var key = await client.Identity.CreateApiKeyAsync(new CreateApiKeyRequest("load", ["jobs"], ExpiresInSeconds: 3600), cancellationToken);
        var request = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { jsonrpc = "2.0", id = 1, method = "GetTask", @params = new { id = taskId } }));
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Connections });

        var url = new Uri(command.Gateway, "/a2a");
        var answer = await AskAsync(http, url, request, key.ApiKey, cancellationToken);
        if (JsonNode.Parse(answer)?["result"] is null)
        {
            throw new LoadException($"GetTask did not answer a task: {Encoding.UTF8.GetString(answer)}");
        }

        await using var echo = await StartEchoAsync(answer);
        var echoUrl = new Uri(echo.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

        // A round of each to warm up, then twice in turn: what else the machine does hits both.
        await RateAsync(http, url, request, key.ApiKey, TimeSpan.FromSeconds(2), cancellationToken);
        await RateAsync(http, echoUrl, request, key.ApiKey, TimeSpan.FromSeconds(2), cancellationToken);
        var (value, peer) = (0.0, 0.0);
        for (var round = 0; round < 2; round++)
        {
            value += await RateAsync(http, url, request, key.ApiKey, TimeSpan.FromSeconds(command.Seconds), cancellationToken) / 2;
            peer += await RateAsync(http, echoUrl, request, key.ApiKey, TimeSpan.FromSeconds(command.Seconds), cancellationToken) / 2;
        }

        if (command.Result is { } file)
        {
            await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new { requestsPerSecond = Math.Round(value), echoesPerSecond = Math.Round(peer) }), cancellationToken);
        }

        Console.WriteLine($"GetTask {value:0}/s, bare echo {peer:0}/s with {Connections} connections and {answer.Length} bytes: {value / peer:0.00}");
        return 0;
    }

    private static async Task<string> FinishOneJobAsync(RenderTrustClient client, GetTaskCommand command, CancellationToken cancellationToken)
    {
        var jobs = await PreparedJobs.MakeAsync(
            client, new JobsCommand(command.Gateway, command.Profile, 1, 1, 0, 16, 1, "", [], null, null), cancellationToken);
        var taskId = "";
        await foreach (var update in client.Jobs.SendAndWatchAsync(jobs.First(), cancellationToken))
        {
            taskId = update.TaskId;
        }

        return taskId;
    }

    private static async Task<WebApplication> StartEchoAsync(byte[] answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var template = JsonNode.Parse(answer)!;
        app.MapPost("/", async context =>
        {
            // Reads and writes JSON as any JSON-RPC server must, and does nothing between.
            var request = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(template.ToJsonString(), context.RequestAborted);
            GC.KeepAlive(request);
        });
        await app.StartAsync();
        return app;
    }

    private static async Task<double> RateAsync(HttpClient http, Uri url, byte[] request, string key, TimeSpan during, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, Connections).Select(async _ =>
        {
            var count = 0;
            for (; TimeProvider.System.GetElapsedTime(started) < during; count++)
            {
                await AskAsync(http, url, request, key, cancellationToken);
            }

            return count;
        }));
        return counts.Sum() / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<byte[]> AskAsync(HttpClient http, Uri url, byte[] request, string key, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(request) };
        message.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        message.Headers.Add("A2A-Version", "1.0");
        using var response = await http.SendAsync(message, cancellationToken);
        return response.IsSuccessStatusCode
            ? await response.Content.ReadAsByteArrayAsync(cancellationToken)
            : throw new LoadException($"{url} answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellationToken)}");
    }
}
