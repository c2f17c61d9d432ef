using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;
using RenderTrust.Agent.Tests.Running;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Tests.Nodes;

/// <summary>The whole node with a real module in a real sandbox: sealed scene in, sealed frames out.</summary>
public sealed class RealModuleTests(TestModules modules) : NodeTest
{
    private const string Scene = """
        #version 3.7;
        global_settings { assumed_gamma 1 }
        camera { location <0, 1, -4> look_at 0 }
        light_source { <3, 5, -4> rgb 1 }
        plane { y, -1 pigment { checker rgb 1 rgb 0.4 } }
        sphere { <sin(clock * 6), 0, 0>, 1 pigment { rgb <1, 0.2, 0.1> } }
        """;

    [Theory]
    [InlineData("docker")]
    [InlineData("bubblewrap")]
    public async Task Frames_of_a_sealed_scene_are_rendered_and_sealed(string runner)
    {
        await SkipUnlessAvailableAsync(runner);
        var session = await StartNodeAsync(options => options.Runner = runner);
        using var job = new TestJob(Hub, NodeKey, units: 2, content: Scene, fileName: "scene.pov",
            parameters: new { scene = "data/scene.pov", widthPixels = 64, heightPixels = 36, quality = 9, antialias = true });
        var offers = new[] { Offer(job, 0), Offer(job, 1) };

        Assert.True((await session.OfferAsync(offers[0])).Accepted);
        Assert.True((await session.OfferAsync(offers[1])).Accepted);
        UnitResult[] results = [await session.NextResultAsync(), await session.NextResultAsync()];

        Assert.Equal(runner, session.Hello.Capabilities.Runner);
        foreach (var result in results)
        {
            Assert.True(result.Succeeded, $"{result.FailureClass}: {result.FailureReason}");
            var unit = Array.FindIndex(offers, offer => offer.AttemptId == result.AttemptId);
            var (path, content) = job.OpenOutput(Hub, Assert.Single(result.Outputs));
            Assert.Equal($"frame_{unit:D4}.png", path);
            Assert.Equal([0x89, 0x50, 0x4E, 0x47], content[..4]);
        }
    }

    [Theory]
    [InlineData("docker")]
    [InlineData("bubblewrap")]
    public async Task A_broken_scene_fails_with_its_log_for_the_creator_only(string runner)
    {
        await SkipUnlessAvailableAsync(runner);
        var session = await StartNodeAsync(options => options.Runner = runner);
        using var job = new TestJob(Hub, NodeKey, content: "sphere { MARKER", fileName: "scene.pov", parameters: new { scene = "data/scene.pov", widthPixels = 64, heightPixels = 36 });

        await session.OfferAsync(Offer(job, 0));
        var result = await session.NextResultAsync();

        Assert.Equal("module_failed", result.FailureClass);
        Assert.DoesNotContain("MARKER", result.FailureReason, StringComparison.Ordinal);
        var (path, log) = job.OpenOutput(Hub, Assert.Single(result.Outputs));
        Assert.Equal("log.txt", path);
        Assert.Contains("MARKER", System.Text.Encoding.UTF8.GetString(log), StringComparison.Ordinal);
        Assert.DoesNotContain("MARKER", Log.Text, StringComparison.Ordinal);
    }

    private LeaseOffer Offer(TestJob job, int unit)
    {
        var offer = job.Offer(unit, token: unit + 1, slot: unit);
        offer.Runtime.ImageReference = modules.Povray.Repository;
        offer.Runtime.ImageDigest = modules.Povray.Digest;
        return offer;
    }

    private async Task SkipUnlessAvailableAsync(string runner)
    {
        var whyNot = runner == "bubblewrap" ? await BubblewrapRunner.WhyNotAsync(Token)
            : !Native.IsRoot ? "a private dockerd needs root"
            : Tools.Find("dockerd") is null ? "dockerd is not installed (apt-get install docker.io)" : null;
        whyNot ??= await modules.MakeAsync(Token);
        Assert.SkipWhen(whyNot is not null, whyNot ?? "");
    }
}
