using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;

namespace RenderTrust.ServiceDefaults;

/// <summary>Turns what a handler threw into a problem that says whose fault it is: the caller's (4xx with the place), a neighbour's (502-504), or ours (500).</summary>
internal sealed partial class ProblemExceptionHandler(IProblemDetailsService problems, ILogger<ProblemExceptionHandler> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && httpContext.RequestAborted.IsCancellationRequested)
        {
            httpContext.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            return true;
        }

        var bodyType = httpContext.Features.Get<IExceptionHandlerFeature>()?.Endpoint?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType;
        var problem = Describe(exception, bodyType);
        if (problem.Status >= 500)
        {
            LogFailed(logger, exception, httpContext.Request.Method, httpContext.Request.Path, problem.Status!.Value);
        }
        else
        {
            LogRefused(logger, httpContext.Request.Method, httpContext.Request.Path, problem.Status!.Value, problem.Detail);
        }

        httpContext.Response.StatusCode = problem.Status.Value;
        if (problem.Status == StatusCodes.Status503ServiceUnavailable)
        {
            httpContext.Response.Headers.RetryAfter = "1";
        }

        return await problems.TryWriteAsync(new ProblemDetailsContext { HttpContext = httpContext, ProblemDetails = problem });
    }

    internal static ProblemDetails Describe(Exception exception, Type? bodyType) => exception switch
    {
        BadHttpRequestException { InnerException: JsonException json } bad => new ProblemDetails
        {
            Status = bad.StatusCode,
            Title = "The body cannot be read.",
            Detail = DescribeJson(json, bodyType),
        },
        BadHttpRequestException bad => new ProblemDetails { Status = bad.StatusCode, Title = "The request cannot be read.", Detail = ShortTypeNames().Replace(bad.Message, "") },
        AppUnavailableException or IdentityUnavailableException => new ProblemDetails
        {
            Status = StatusCodes.Status503ServiceUnavailable,
            Title = "A part of the platform is not reachable.",
            Detail = "Nothing was changed. Try again in a moment.",
        },
        UnknownOutcomeException => new ProblemDetails
        {
            Status = StatusCodes.Status504GatewayTimeout,
            Title = "A part of the platform did not answer in time.",
            Detail = "Whether the request took effect is not known. Repeat it with the same id: it takes effect once.",
        },
        AppCallException call => new ProblemDetails
        {
            Status = StatusCodes.Status502BadGateway,
            Title = "A part of the platform refused.",
            Detail = $"{call.AppId} answered {(int)call.StatusCode}.",
        },
        _ => new ProblemDetails
        {
            Status = StatusCodes.Status500InternalServerError,
            Title = "The platform failed.",
            Detail = "This is not the caller's fault. The trace id finds it in the logs.",
        },
    };

    private static string DescribeJson(JsonException exception, Type? bodyType)
    {
        var text = exception.Message;
        var end = text.IndexOf(" Path: ", StringComparison.Ordinal);
        if (end >= 0)
        {
            text = text[..end];
        }

        var place = string.IsNullOrEmpty(exception.Path) ? "" : $"At {exception.Path}: ";
        var line = exception.LineNumber is { } number ? $" (line {number + 1}, byte {exception.BytePositionInLine + 1})" : "";
        var known = TypeAt(bodyType, exception.Path) is { IsEnum: true } type
            ? $" Known are: {string.Join(", ", Enum.GetNames(type).Select(JsonNamingPolicy.CamelCase.ConvertName))}."
            : "";
        return place + ShortTypeNames().Replace(text, "") + line + known;
    }

    /// <summary>The type of the member that a JSON path such as <c>$.runtime.deviceKind</c> names; the serializer itself only tells the outermost one.</summary>
    private static Type? TypeAt(Type? type, string? path)
    {
        foreach (var step in (path ?? "").Split('.').Skip(1))
        {
            var bracket = step.IndexOf('[', StringComparison.Ordinal);
            var name = bracket < 0 ? step : step[..bracket];
            type = type?.GetProperty(name, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase)?.PropertyType;
            if (bracket >= 0)
            {
                type = type?.GetElementType() ?? type?.GetGenericArguments().FirstOrDefault();
            }

            type = type is null ? null : Nullable.GetUnderlyingType(type) ?? type;
        }

        return type;
    }

    [GeneratedRegex(@"(RenderTrust|System)(\.\w+)*\.(?=\w)")]
    private static partial Regex ShortTypeNames();

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed with {StatusCode}")]
    private static partial void LogFailed(ILogger logger, Exception exception, string method, string path, int statusCode);

    [LoggerMessage(LogLevel.Information, "{Method} {Path} was refused with {StatusCode}: {Detail}")]
    private static partial void LogRefused(ILogger logger, string method, string path, int statusCode, string? detail);
}
