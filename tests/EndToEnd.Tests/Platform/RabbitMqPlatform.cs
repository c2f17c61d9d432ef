namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>The same platform with the other components: a RabbitMQ node of its own in the place of Redis.</summary>
public sealed class RabbitMqPlatform() : PlatformFixture("e2e-rabbitmq")
{
    protected override IReadOnlyList<string> Arguments => [.. base.Arguments, "--components", "rabbitmq"];

    public override async ValueTask DisposeAsync()
    {
        var parts = new List<int> { await PidOfAsync("rabbitmq"), await PidOfAsync("epmd") };
        await base.DisposeAsync();
        Assert.DoesNotContain(parts, pid => pid != 0 && Directory.Exists($"/proc/{pid}") && !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal));
    }
}
