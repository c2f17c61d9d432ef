using RenderTrust.Sidecar.Tests;

[assembly: AssemblyFixture(typeof(RedisServer))]
