using RenderTrust.Sidecar.Secrets;

namespace RenderTrust.Sidecar.Tests;

public sealed class SecretTests
{
    private static readonly byte[] File = """{"db": {"user": "u", "keys": {"main": "x", "old": ["a", "b"]}}, "plain": "t"}"""u8.ToArray();

    [Fact]
    public void Nested_secrets_are_named_by_their_path()
    {
        var store = new FileSecretStore(File, "/", multiValued: false);

        Assert.Equal(["db/keys/main", "db/keys/old/0", "db/keys/old/1", "db/user", "plain"], store.GetAll().Keys.Order(StringComparer.Ordinal));
        Assert.Equal(new Dictionary<string, string> { ["db/user"] = "u" }, store.Get("db/user"));
        Assert.Null(store.Get("db"));
    }

    [Fact]
    public void With_multiple_values_an_object_is_one_secret_and_only_what_is_below_it_is_flat()
    {
        var store = new FileSecretStore(File, ":", multiValued: true);

        Assert.Equal(["db", "plain"], store.GetAll().Keys.Order(StringComparer.Ordinal));
        Assert.Equal(
            new Dictionary<string, string> { ["user"] = "u", ["keys:main"] = "x", ["keys:old:0"] = "a", ["keys:old:1"] = "b" }, store.Get("db"));
        Assert.Equal(new Dictionary<string, string> { ["plain"] = "t" }, store.Get("plain"));
    }

    [Fact]
    public void A_prefix_hides_itself_and_what_belongs_to_dapr_stays_hidden()
    {
        var store = new EnvironmentSecretStore("STUDIO_", new Dictionary<string, string> { ["STUDIO_KEY"] = "k", ["OTHER"] = "o" });
        var dapr = new EnvironmentSecretStore("DAPR_", new Dictionary<string, string> { ["DAPR_API_TOKEN"] = "secret" });

        Assert.Equal(new Dictionary<string, string> { ["KEY"] = "k" }, store.Get("KEY"));
        Assert.Equal(["KEY"], store.GetAll().Keys);
        Assert.Null(dapr.Get("API_TOKEN"));
        Assert.Empty(dapr.GetAll());
    }
}
