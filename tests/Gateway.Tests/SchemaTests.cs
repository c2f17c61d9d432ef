using RenderTrust.Gateway.Blobs;
using RenderTrust.TestKit;

namespace RenderTrust.Gateway.Tests;

public sealed class SchemaTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task The_schema_file_is_what_all_migrations_make()
    {
        await database.MigrateAsync("gateway", typeof(IBlobStore).Assembly);
        using var reader = new StreamReader(typeof(IBlobStore).Assembly.GetManifestResourceStream("schema.sql")!);

        var written = await SchemaSnapshot.OfScriptAsync("gateway", await reader.ReadToEndAsync(TestContext.Current.CancellationToken));

        Assert.NotEmpty(written);
        Assert.Equal(written, await SchemaSnapshot.ReadAsync(database.ConnectionStringFor("gateway"), "gateway"));
    }
}
