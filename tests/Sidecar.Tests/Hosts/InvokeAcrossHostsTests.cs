using System.Net;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Npgsql;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Hosts;

/// <summary>Apps on two hosts that share a Postgres call each other by their ids.</summary>
public sealed class InvokeAcrossHostsTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const string ApiToken = "token-of-the-sidecars";

    private readonly HostProcess first = new("first", database) { ApiToken = ApiToken };
    private readonly HostProcess second = new("second", database) { ApiToken = ApiToken };
    private readonly List<HostedTestApp> apps = [];
    private readonly HttpClient client = new();
    private RigApp front = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        client.DefaultRequestHeaders.Add("dapr-api-token", ApiToken);
        front = first.Rig.AddApp("front", withPort: false);
        var echoes = (First: first.Rig.AddApp("echo"), Second: second.Rig.AddApp("echo"));
        var back = second.Rig.AddApp("back");
        apps.Add(await HostedTestApp.StartAsync(echoes.First.AppPort, routes => routes.MapGet("/who", () => "first")));
        apps.Add(await HostedTestApp.StartAsync(echoes.Second.AppPort, routes => routes.MapGet("/who", () => "second")));
        apps.Add(await HostedTestApp.StartAsync(back.AppPort, routes => routes.MapPost("/things/{name}", async (string name, HttpRequest request) =>
        {
            using var reader = new StreamReader(request.Body);
            request.HttpContext.Response.Headers["x-answered"] = "yes";
            return Results.Text($"{name}|{request.QueryString}|{request.Headers["dapr-caller-app-id"]}|{request.Headers["x-mine"]}|{request.Headers.ContainsKey("rendertrust-host")}|{await reader.ReadToEndAsync()}", statusCode: 202);
        })));
        apps.Add(await GrpcAppTests.StartEchoAsync(second.Rig.AddApp("talker", extra: "    appProtocol: grpc\n").AppPort));
        await first.StartAsync();
        await second.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await first.DisposeAsync();
        await second.DisposeAsync();
        foreach (var app in apps)
        {
            await app.DisposeAsync();
        }

        client.Dispose();
    }

    [Fact]
    public async Task A_call_reaches_an_app_of_the_other_host_as_it_was_sent()
    {
        await SeenAsync("back");
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{front.Http}/v1.0/invoke/back/method/things/a%2Fb?q=1") { Content = new StringContent(new string('x', 100_000)) };
        request.Headers.Add("x-mine", "kept");
        using var answer = await client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        Assert.Equal("yes", answer.Headers.GetValues("x-answered").Single());
        Assert.Equal($"a/b|?q=1|front|kept|False|{new string('x', 100_000)}", (await answer.Content.ReadAsStringAsync(Token)).Replace("a%2Fb", "a/b", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_over_grpc_reach_apps_of_the_other_host()
    {
        await SeenAsync("back");
        using var channel = GrpcChannel.ForAddress(front.Grpc);
        var head = new Metadata { { "dapr-api-token", ApiToken }, { "dapr-app-id", "talker" }, { "x-own", "mine" } };
        using var own = channel.CreateCallInvoker().AsyncUnaryCall(GrpcAppTests.Say, null, new CallOptions(head, cancellationToken: Token), "hello");
        using var invoked = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).InvokeServiceAsync(
            new InvokeServiceRequest
            {
                Id = "back", Message = new InvokeRequest { Method = "things/pen", Data = new Any { Value = ByteString.CopyFromUtf8("ink") }, HttpExtension = new HTTPExtension { Verb = HTTPExtension.Types.Verb.Post } },
            },
            new Metadata { { "dapr-api-token", ApiToken } }, cancellationToken: Token);

        Assert.StartsWith("hello from front to talker with ", await own.ResponseAsync, StringComparison.Ordinal);
        Assert.Equal("yes", own.GetTrailers().GetValue("x-trailer"));
        Assert.Equal("pen||front||False|ink", (await invoked.ResponseAsync).Data.Value.ToStringUtf8());
    }

    [Fact]
    public async Task Instances_of_one_app_take_turns_and_the_one_that_is_left_takes_all()
    {
        await SeenAsync("back");
        var answers = new List<string>();
        for (var call = 0; call < 10; call++)
        {
            answers.Add(await WhoAsync());
        }

        await second.KillAsync();
        var after = new List<string>();
        for (var call = 0; call < 10; call++)
        {
            after.Add(await WhoAsync());
        }

        Assert.Equal((5, 5), (answers.Count(answer => answer == "first"), answers.Count(answer => answer == "second")));
        Assert.All(after, answer => Assert.Equal("first", answer));
    }

    [Fact]
    public async Task Who_does_not_know_a_hosts_secret_is_refused_at_its_port()
    {
        await using var source = NpgsqlDataSource.Create(database.AdminConnectionString);
        await using var command = source.CreateCommand("SELECT address FROM rendertrust_hosts WHERE address IS NOT NULL LIMIT 1");
        var address = (string)(await command.ExecuteScalarAsync(Token))!;
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{address}/who") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Add("rendertrust-callee", "echo");
        request.Headers.Add("rendertrust-host", "guessed");
        using var answer = await client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    private async Task<string> WhoAsync()
    {
        using var answer = await client.GetAsync(new Uri($"{front.Http}/v1.0/invoke/echo/method/who"), Token);
        return answer.IsSuccessStatusCode ? await answer.Content.ReadAsStringAsync(Token) : $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync(Token)}";
    }

    /// <summary>What is ready on one host is known to the other after a moment.</summary>
    private Task SeenAsync(string appId) => Wait.UntilAsync($"{appId} is known to the first host", async () =>
    {
        using var answer = await client.GetAsync(new Uri($"{front.Http}/v1.0/invoke/{appId}/method/none"), Token);
        return answer.StatusCode == HttpStatusCode.NotFound;
    }, () => $"{first.Output}\n{second.Output}", HostProcess.BackLimit);
}
