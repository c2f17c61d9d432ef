using System.Text.Json;
using RenderTrust.Contracts;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>The A2A project's own JavaScript client, with nothing of ours in it but an API key.</summary>
public sealed class IndependentClientTests(PlatformFixture platform)
{
    private static string Folder => Path.Combine(Repository.Root, "tests", "EndToEnd.Tests", "A2AClient");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_projects_own_client_reads_the_card_talks_and_gets_a_task()
    {
        await platform.StartAsync();
        var creator = await platform.NewCreatorAsync("Julia");
        var draft = await Scenes.DraftAsync(creator, Scenes.Ball, 1, Token);
        var submitted = await creator.Jobs.SubmitAsync(draft, null, Token);
        await JobTests.LastAsync(creator.Jobs.WatchAsync(submitted.TaskId, Token));
        var key = await creator.Identity.CreateApiKeyAsync(new CreateApiKeyRequest("proof", ["jobs"]), Token);
        await InstallAsync();

        var argument = JsonSerializer.Serialize(new { gateway = platform.Gateway, apiKey = key.ApiKey, taskId = submitted.TaskId, unknownTaskId = Guid.NewGuid().ToString() }, JsonSerializerOptions.Web);
        var said = (await Programs.RunAsync("node", ["talk.mjs", argument], Folder, null, TimeSpan.FromSeconds(60), Token)).Succeeded().Json;

        Assert.Equal("RenderTrust", said.GetProperty("card").GetProperty("name").GetString());
        Assert.Contains("povray@", TextOf(said.GetProperty("answer")), StringComparison.Ordinal);
        Assert.Contains("povray@", TextOf(Assert.Single(said.GetProperty("streamed").EnumerateArray()).GetProperty("payload").GetProperty("value")), StringComparison.Ordinal);
        var task = said.GetProperty("task");
        Assert.Equal(submitted.TaskId, task.GetProperty("id").GetString());
        Assert.Equal(3, task.GetProperty("status").GetProperty("state").GetInt32());
        Assert.Equal("unit-000000", Assert.Single(task.GetProperty("artifacts").EnumerateArray()).GetProperty("artifactId").GetString());
        Assert.Contains("not known", said.GetProperty("unknown").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    private static string TextOf(JsonElement message) => message.GetProperty("parts")[0].GetProperty("content").GetProperty("value").GetString()!;

    private static async Task InstallAsync()
    {
        if (!File.Exists(Path.Combine(Folder, "node_modules", "@a2a-js", "sdk", "package.json")))
        {
            (await Programs.RunAsync("npm", ["ci", "--omit=peer", "--no-audit", "--no-fund"], Folder, null, TimeSpan.FromMinutes(3), Token)).Succeeded();
        }
    }
}
