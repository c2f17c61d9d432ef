using System.Diagnostics;

namespace RenderTrust.Agent.Tests.Nodes;

/// <summary>The agent as a real process, ended without a chance to say anything.</summary>
public sealed class KilledAgentTests : NodeTest
{
    [Fact]
    public async Task A_result_that_was_not_delivered_survives_a_kill_of_the_agent()
    {
        using var first = StartProcess();
        var session = await Hub.NextSessionAsync();
        using var job = new TestJob(Hub, NodeKey, parameters: new { simulate = new { milliseconds = 300 } });
        var offer = job.Offer();
        Assert.True((await session.OfferAsync(offer)).Accepted);
        await session.NextAsync(RenderTrust.EdgeProtocol.NodeFrame.FrameOneofCase.Progress);
        await Hub.StopAsync();
        await Wait.ForAsync(() => Directory.GetDirectories(Path.Combine(State, "outbox"), "0*").Length == 1, "the result in the outbox");

        first.Kill();
        await first.WaitForExitAsync(Token);
        await Hub.StartAsync();
        using var second = StartProcess();
        var later = await Hub.NextSessionAsync();
        var result = await later.NextResultAsync();

        Assert.Equal([offer.AttemptId], later.Hello.RunningAttemptIds);
        Assert.Equal(offer.AttemptId, result.AttemptId);
        Assert.True(result.Succeeded);
        job.OpenOutput(Hub, Assert.Single(result.Outputs));
        second.Kill();
        await second.WaitForExitAsync(Token);
    }

    [Fact]
    public async Task A_second_agent_on_the_same_state_folder_is_refused()
    {
        using var first = StartProcess();
        await Hub.NextSessionAsync();

        using var second = StartProcess();
        var said = await second.StandardError.ReadToEndAsync(Token);
        await second.WaitForExitAsync(Token);

        Assert.Equal(1, second.ExitCode);
        Assert.Contains("Another agent already runs", said, StringComparison.Ordinal);
        first.Kill();
        await first.WaitForExitAsync(Token);
    }

    private Process StartProcess()
    {
        var start = new ProcessStartInfo("dotnet", [
            Path.Combine(AppContext.BaseDirectory, "RenderTrust.Agent.dll"), "run", "--state", State, "--runner", "simulate", "--slots", "2",
            "--scratch-bytes", "100000000",
        ])
        { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["Agent__ReconnectMaxSeconds"] = "1";
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        return process;
    }
}
