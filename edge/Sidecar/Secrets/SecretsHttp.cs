using Grpc.Core;
using RenderTrust.Sidecar.Api;

namespace RenderTrust.Sidecar.Secrets;

/// <summary>/v1.0/secrets.</summary>
internal static class SecretsHttp
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1.0/secrets/{store}/bulk", GetAllAsync);
        routes.MapGet("/v1.0/secrets/{store}/{**key}", GetAsync);
    }

    public static IReadOnlyDictionary<string, string> Get(ISecretStore store, string storeName, string key) =>
        store.Get(key) ?? (store.MissingIsEmpty ? new Dictionary<string, string> { [key] = "" } : throw new DaprError(500, StatusCode.Internal, "ERR_SECRET_GET",
            $"failed getting secret with key {key} from secret store {storeName}: secret not found"));

    private static Task GetAsync(HttpContext context)
    {
        var name = context.Route("store");
        var values = Get(context.App().Components.SecretStore(name), name, context.Route("key"));
        return DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            foreach (var (key, value) in values)
            {
                writer.WriteString(key, value);
            }

            writer.WriteEndObject();
        });
    }

    private static Task GetAllAsync(HttpContext context)
    {
        var all = context.App().Components.SecretStore(context.Route("store")).GetAll();
        return DaprHttp.WriteJsonAsync(context, writer =>
        {
            writer.WriteStartObject();
            foreach (var (name, values) in all)
            {
                writer.WriteStartObject(name);
                foreach (var (key, value) in values)
                {
                    writer.WriteString(key, value);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        });
    }
}
