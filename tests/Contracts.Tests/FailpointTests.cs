namespace RenderTrust.Contracts.Tests;

public sealed class FailpointTests
{
    [Fact]
    public void A_failpoint_outside_Development_does_nothing_even_when_armed()
    {
        var folder = Directory.CreateTempSubdirectory("failpoints-").FullName;
        var armed = Path.Combine(folder, Failpoints.All[0]);
        File.WriteAllText(armed, "");

        Failpoint.Enable(isDevelopment: false, folder);
        Failpoint.Hit(Failpoints.All[0]);

        Assert.True(File.Exists(armed));
        Directory.Delete(folder, recursive: true);
    }
}
