using RenderTrust.Sidecar.Tests;

[assembly: AssemblyFixture(typeof(RedisServer))]
[assembly: AssemblyFixture(typeof(RabbitMqServer))]
