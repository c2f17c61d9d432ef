using System.Net;
using Microsoft.Extensions.Options;
using RenderTrust.Gateway.Auth;
using RenderTrust.ServiceDefaults;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Transforms;
using Yarp.ReverseProxy.Transforms.Builder;

namespace RenderTrust.Gateway.Proxy;

/// <summary>Forwards the public REST routes to the services through the sidecar, signed in and with a plain token.</summary>
internal static class RestProxy
{
    private const string Cluster = "sidecar";

    public static void AddRestProxy(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<RestProxyOptions>().BindConfiguration(RestProxyOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        var options = builder.Configuration.GetSection(RestProxyOptions.Section).Get<RestProxyOptions>() ?? new RestProxyOptions();
        using var sidecar = new SidecarHttp(builder.Configuration, Options.Create(new SidecarOptions()));
        var sidecarToken = builder.Configuration["DAPR_API_TOKEN"];
        builder.Services.AddReverseProxy()
            .LoadFromMemory(
                [.. RestRoutes.All.Select((route, index) => Config(route, index, options)), .. RestRoutes.All.Where(route => route.IsForDashboard).Select((route, index) => DashboardConfig(route, index, options))],
                [
                    new ClusterConfig
                    {
                        ClusterId = Cluster,
                        Destinations = new Dictionary<string, DestinationConfig> { [Cluster] = new() { Address = sidecar.BaseAddress.ToString() } },
                        HttpRequest = new ForwarderRequestConfig
                        {
                            ActivityTimeout = TimeSpan.FromSeconds(options.TimeoutSeconds),
                            Version = HttpVersion.Version11,
                            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                        },
                    },
                ])
            .AddTransforms(context => AddTransforms(context, sidecarToken));
    }

    public static void MapRestProxy(this IEndpointRouteBuilder endpoints) => endpoints.MapReverseProxy(proxy =>
    {
        proxy.Use(RefuseOddPathsAsync);
        proxy.Use(ExplainFailuresAsync);
    });

    private static RouteConfig Config(RestRoute route, int index, RestProxyOptions options) => new()
    {
        RouteId = $"{index:D2}-{route.App}",
        ClusterId = Cluster,
        Match = new RouteMatch { Path = route.Path },
        AuthorizationPolicy = route.IsAnonymous ? "anonymous" : Policies.User,
        MaxRequestBodySize = options.MaxRequestBytes,
        Transforms = [new Dictionary<string, string> { ["PathPrefix"] = $"/v1.0/invoke/{route.App}/method" }],
    };

    private static RouteConfig DashboardConfig(RestRoute route, int index, RestProxyOptions options)
    {
        var config = Config(route, index, options);
        return config with
        {
            RouteId = "dashboard-" + config.RouteId,
            Match = new RouteMatch { Path = BrowserSessions.ApiPath + route.Path, Methods = [HttpMethods.Get] },
            Transforms = [new Dictionary<string, string> { ["PathRemovePrefix"] = BrowserSessions.ApiPath }, .. config.Transforms!],
        };
    }

    private static void AddTransforms(TransformBuilderContext context, string? sidecarToken)
    {
        var isAnonymous = context.Route.AuthorizationPolicy == "anonymous";
        context.AddRequestTransform(transform =>
        {
            var headers = transform.ProxyRequest.Headers;

            // Headers by which the sidecar is steered are ours alone.
            foreach (var name in headers.Select(header => header.Key).Where(IsForTheSidecar).ToList())
            {
                headers.Remove(name);
            }

            headers.Remove("Authorization");
            headers.Remove("Cookie");
            if (!isAnonymous)
            {
                headers.Remove("DPoP");
                var token = transform.HttpContext.Features.Get<ForwardedToken>() ?? throw new InvalidOperationException($"Route {context.Route.RouteId} was reached without a verified token.");
                headers.Add("Authorization", "Bearer " + token.AccessToken);
            }

            if (!string.IsNullOrEmpty(sidecarToken))
            {
                headers.Add("dapr-api-token", sidecarToken);
            }

            return ValueTask.CompletedTask;
        });
        context.AddResponseTransform(ReplaceSidecarErrorAsync);
    }

    private static bool IsForTheSidecar(string header) =>
        header.StartsWith("dapr-", StringComparison.OrdinalIgnoreCase) || header.StartsWith("dapr_", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Paths of this API need no escapes. Whatever the sidecar and the service would decode once more, such as %2f or a second ..,
    /// could name a route that is not public, so it is not passed on.
    /// </summary>
    private static async Task RefuseOddPathsAsync(HttpContext http, RequestDelegate next)
    {
        var path = http.Request.Path.Value ?? "";
        var isPlain = path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '-' or '_' or '.' or '~' or '@' or ':')
            && !path.Contains("//", StringComparison.Ordinal) && !path.Split('/').Any(segment => segment is "." or "..");
        if (isPlain)
        {
            await next(http);
            return;
        }

        await ProblemAsync(http, StatusCodes.Status400BadRequest, "Bad path", "The path holds characters that no route of this API uses. Check the ids in it.");
    }

    private static async Task ExplainFailuresAsync(HttpContext http, RequestDelegate next)
    {
        // The route's limit, which is set on the request only behind this: until then the listener's larger one stands there.
        var limit = http.RequestServices.GetRequiredService<IOptions<RestProxyOptions>>().Value.MaxRequestBytes;
        if (http.Request.ContentLength > limit)
        {
            await TooLargeAsync(http, limit);
            return;
        }

        await next(http);
        if (http.Response.HasStarted || http.GetForwarderErrorFeature() is not { } failure)
        {
            return;
        }

        if (http.Response.StatusCode == StatusCodes.Status413PayloadTooLarge || failure.Exception?.GetBaseException() is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge })
        {
            await TooLargeAsync(http, limit);
        }
        else if (!http.RequestAborted.IsCancellationRequested)
        {
            http.Response.Headers.RetryAfter = "2";
            await ProblemAsync(http, StatusCodes.Status503ServiceUnavailable, "A service is unavailable", $"The sidecar could not be asked ({failure.Error}). Try again in a few seconds; if it stays, look at the sidecar's log.");
        }
    }

    /// <summary>An app that cannot be reached is reported by the sidecar as its own 4xx or 5xx; to a creator that is a 503.</summary>
    private static async ValueTask ReplaceSidecarErrorAsync(ResponseTransformContext transform)
    {
        if (transform.ProxyResponse is not { } response || (int)response.StatusCode < 400 || response.Content.Headers.ContentType?.MediaType is not "application/json")
        {
            return;
        }

        var http = transform.HttpContext;
        var body = await response.Content.ReadAsStringAsync(http.RequestAborted);
        transform.SuppressResponseBody = true;
        http.Response.Headers.Remove("Content-Length");
        if (body.Contains("\"ERR_DIRECT_INVOKE\"", StringComparison.Ordinal))
        {
            http.Response.Headers.RetryAfter = "2";
            await ProblemAsync(http, StatusCodes.Status503ServiceUnavailable, "A service is unavailable", "The service behind this route is not running or not reachable. Try again in a few seconds; if it stays, look at its health and log.");
        }
        else
        {
            // Read to be looked at, so it has to be written by hand.
            await http.Response.WriteAsync(body, http.RequestAborted);
        }
    }

    private static Task TooLargeAsync(HttpContext http, long limitBytes) => ProblemAsync(
        http, StatusCodes.Status413PayloadTooLarge, "Too large", $"The body is larger than {limitBytes} bytes. Files go to /v1/uploads and are referred to by their hash.");

    private static async Task ProblemAsync(HttpContext http, int status, string title, string detail)
    {
        http.Response.StatusCode = status;
        await http.RequestServices.GetRequiredService<IProblemDetailsService>().TryWriteAsync(
            new ProblemDetailsContext { HttpContext = http, ProblemDetails = { Status = status, Title = title, Detail = detail } });
    }
}
