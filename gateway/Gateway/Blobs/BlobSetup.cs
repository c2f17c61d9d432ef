using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Auth;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Blobs;

/// <summary>Blob store, resumable uploads and the tokens by which nodes reach single blobs. Also brings the gateway's schema up to date.</summary>
internal static class BlobSetup
{
    public static WebApplicationBuilder AddBlobs(this WebApplicationBuilder builder)
    {
        builder.Services.AddPostgres(builder.Configuration, Apps.Gateway, typeof(BlobSetup).Assembly);
        builder.Services.AddOptions<BlobOptions>().BindConfiguration(BlobOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddOptions<LeaseTokenOptions>().BindConfiguration(LeaseTokenOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<FileBlobStore>().AddSingleton<IBlobStore>(provider => provider.GetRequiredService<FileBlobStore>());
        builder.Services.AddSingleton<UploadSessions>().AddHostedService<ExpireUploadsLoop>();
        builder.Services.AddSingleton<LeaseTokens>().AddSingleton<AttemptBudgets>().AddSingleton<LeaseTokenKeys>().AddHostedService<RotateLeaseTokenKeysLoop>();
        return builder;
    }

    public static void MapBlobs(this IEndpointRouteBuilder endpoints)
    {
        var uploads = endpoints.MapGroup(Tus.Route).RequireScope(Scopes.Jobs).AddEndpointFilter(Tus.RequireVersionAsync);
        CreateUpload.Map(uploads);
        ReadUpload.Map(uploads);
        AppendUpload.Map(uploads);
        TerminateUpload.Map(uploads);
        endpoints.MapMethods(Tus.Route, [HttpMethods.Options], Describe).AllowAnonymous();
        endpoints.MapMethods(Tus.Route + "/{uploadId}", [HttpMethods.Options], Describe).AllowAnonymous();
        ReadBlob.Map(endpoints.MapGroup("").RequireScope(Scopes.Jobs));
        ReadBlob.Map(endpoints.MapGroup(BrowserSessions.ApiPath).RequireScope(Scopes.Jobs));
    }

    /// <summary>Anonymous: it says what this server can do and nothing of anyone's uploads.</summary>
    private static NoContent Describe(HttpContext http, IOptions<BlobOptions> options)
    {
        var headers = http.Response.Headers;
        headers[Tus.Resumable] = Tus.Version;
        headers["Tus-Version"] = Tus.Version;
        headers["Tus-Extension"] = Tus.Extensions;
        headers["Tus-Max-Size"] = options.Value.MaxUploadBytes.ToString(CultureInfo.InvariantCulture);
        return TypedResults.NoContent();
    }
}
