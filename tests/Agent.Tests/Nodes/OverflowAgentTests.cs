using System.Diagnostics;
using RenderTrust.Agent.Enrollment;
using RenderTrust.Agent.Hosting;
using RenderTrust.Agent.Scratch;
using RenderTrust.Agent.Tests.Enrollment;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Tests.Nodes;

/// <summary>An agent that is started on demand: it holds a key that it shares, and ends by itself.</summary>
public sealed class OverflowAgentTests : NodeTest
{
    private string Pool => Path.Combine(Folder, "pool", "pool.key");

    [Fact]
    public async Task An_agent_with_nothing_to_do_ends_by_itself_and_says_so_to_the_hub()
    {
        var ended = RunNodeAsync(options => options.IdleSeconds = 1, Token);
        var session = await Hub.NextSessionAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { simulate = new { milliseconds = 1500 } });

        // Longer than the idle time: what runs is something to do.
        await session.OfferAsync(job.Offer());
        Assert.True((await session.NextResultAsync()).Succeeded);
        await ended;

        Assert.Contains("has stopped (Idle)", Log.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_no_hub_takes_ends_with_an_error()
    {
        await Hub.StopAsync();

        var refused = await Assert.ThrowsAsync<NodeStartException>(() => RunNodeAsync(
            options =>
            {
                options.IdleSeconds = 1;
                options.FirstSessionSeconds = 1;
            },
            Token));

        Assert.Contains("did not take this node", refused.Message, StringComparison.Ordinal);
        await Hub.StartAsync();
    }

    [Fact]
    public void The_pools_key_is_made_once_and_only_its_owner_reads_it()
    {
        var made = PoolKey.OpenOrMake(Pool);

        Assert.Equal(made, PoolKey.OpenOrMake(Pool));
        Assert.Equal(Modes.PrivateFile, File.GetUnixFileMode(Pool));
        Assert.Equal(22, made.KeyId.Length);
    }

    [Fact]
    public async Task An_agent_of_the_pool_enrols_with_the_pools_key_and_refuses_to_go_on_with_another()
    {
        var key = PoolKey.OpenOrMake(Pool);
        await using var identity = await IdentityDouble.StartAsync();
        var tokenFile = Path.Combine(Folder, "overflow.token");
        await File.WriteAllTextAsync(tokenFile, "one-time-token", Token);
        var command = new EnrolCommand(identity.Address, tokenFile, Path.Combine(Folder, "agent-1"), null, null, Pool);

        await EnrolNode.RunAsync(command, Token);
        await EnrolNode.RunAsync(command, Token);

        Assert.Equal(key.Key, Assert.Single(identity.Requests).EncryptionKey);
        File.Delete(Pool);
        var next = PoolKey.OpenOrMake(Pool);
        var refused = await Assert.ThrowsAsync<EnrolmentException>(() => EnrolNode.RunAsync(command, Token));
        Assert.Contains(next.KeyId, refused.Message, StringComparison.Ordinal);
        Assert.Contains("Remove the folder", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_process_enrols_under_its_lock_tells_its_pid_and_ends_with_zero()
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", [
            Path.Combine(AppContext.BaseDirectory, "RenderTrust.Agent.dll"), "overflow", "--state", State, "--runner", "simulate", "--slots", "2", "--scratch-bytes", "100000000",
            "--idle-seconds", "2", "--pool-key", Path.Combine(State, "identity", "encryption.key"), "--gateway", "http://127.0.0.1:1", "--token-file", "/nonexistent",
        ])
        { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        await Hub.NextSessionAsync();

        var said = (await File.ReadAllTextAsync(Path.Combine(State, "agent.pid"), Token)).Split(' ');
        await process.WaitForExitAsync(Token);

        Assert.Equal(process.Id, int.Parse(said[0], System.Globalization.CultureInfo.InvariantCulture));
        Assert.True(process.ExitCode == 0, await process.StandardError.ReadToEndAsync(Token));
    }
}
