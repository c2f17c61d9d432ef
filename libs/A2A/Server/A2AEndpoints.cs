using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace RenderTrust.A2A;

public static partial class A2AEndpoints
{
    /// <summary>Registers the server side; the application adds its <see cref="IA2AAgent"/>.</summary>
    public static IServiceCollection AddA2AServer(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddOptions<A2AServerOptions>().BindConfiguration(A2AServerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        return services;
    }

    /// <summary>
    /// Serves the JSON-RPC binding at one path (with or without a trailing slash). Results and JSON-RPC errors are HTTP 200;
    /// only an oversized body is a 413, since the rest of it is never read.
    /// </summary>
    public static IEndpointConventionBuilder MapA2AJsonRpc(this IEndpointRouteBuilder endpoints, string path) =>
        endpoints.MapPost(path, HandleAsync).WithName("a2a-jsonrpc");

    private static async Task HandleAsync(HttpContext http)
    {
        var options = http.RequestServices.GetRequiredService<IOptions<A2AServerOptions>>().Value;
        if (!IsJson(http.Request.ContentType))
        {
            var contentType = http.Request.ContentType ?? "(none)";
            await AnswerAsync(http, default, A2AError.ContentTypeNotSupported($"The request body is {contentType}; send application/json.", ("contentType", contentType)));
            return;
        }

        var (body, unreadable) = await ReadBodyAsync(http, options.MaxRequestBytes);
        if (body is null)
        {
            await AnswerAsync(http, default, unreadable!);
            return;
        }

        using (body)
        {
            var (request, error, id) = JsonRpcRequest.Read(body.RootElement);
            error ??= CheckMethodAndVersion(request!.Method, A2AVersion.Requested(http.Request));
            var extensions = Activated(http.Request, options);
            error ??= MissingExtension(extensions, options);
            if (error is not null)
            {
                await AnswerAsync(http, id, error);
                return;
            }

            if (extensions.Count > 0)
            {
                http.Response.Headers[A2AHeaders.Extensions] = string.Join(", ", extensions);
            }

            await DispatchAsync(request!, new A2ACall(http, extensions), options);
        }
    }

    private static async Task DispatchAsync(JsonRpcRequest request, A2ACall call, A2AServerOptions options)
    {
        var http = call.Http;
        var stopping = http.RequestServices.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, stopping);
        SseWriter? stream = null;
        A2AError error;
        try
        {
            var agent = http.RequestServices.GetRequiredService<IA2AAgent>();
            if (request.Method is A2AMethods.SendStreamingMessage or A2AMethods.SubscribeToTask)
            {
                var events = request.Method is A2AMethods.SendStreamingMessage
                    ? agent.SendStreamingMessageAsync(Params<SendMessageRequest>(request), call, ending.Token)
                    : agent.SubscribeToTaskAsync(Params<SubscribeToTaskRequest>(request), call, ending.Token);
                await using var enumerator = events.GetAsyncEnumerator(ending.Token);

                // The stream begins only once there is a first event: an error before it is an ordinary answer.
                if (await enumerator.MoveNextAsync())
                {
                    var time = http.RequestServices.GetRequiredService<TimeProvider>();
                    stream = new SseWriter(http.Response, request.Id, TimeSpan.FromSeconds(options.PingSeconds), time);
                    await stream.SendAllAsync(enumerator, streamed => call.Flushed?.Invoke(streamed), ending.Token);
                    return;
                }

                throw new InvalidOperationException($"{request.Method} gave a stream without any event.");
            }

            await AnswerUnaryAsync(request, agent, call, ending.Token);
            return;
        }
        catch (A2AErrorException refusal)
        {
            error = refusal.Error;
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            error = A2AError.Internal("This server is stopping. The task goes on: connect again and use SubscribeToTask or GetTask.");
        }
        catch (Exception exception)
        {
            LogFailed(http.RequestServices.GetRequiredService<ILogger<A2ACall>>(), exception, request.Method, http.TraceIdentifier);
            error = options.ExplainFault(exception) ?? A2AError.Internal($"The request failed inside the server. Try again; if it stays, report trace {http.TraceIdentifier}.");
        }

        if (stream is not null)
        {
            await stream.SendErrorAsync(error, http.RequestAborted);
        }
        else
        {
            await AnswerAsync(http, request.Id, error);
        }
    }

    private static async Task AnswerUnaryAsync(JsonRpcRequest request, IA2AAgent agent, A2ACall call, CancellationToken cancellationToken)
    {
        switch (request.Method)
        {
            case A2AMethods.SendMessage:
                var sent = await agent.SendMessageAsync(Params<SendMessageRequest>(request), call, cancellationToken);
                await AnswerAsync(call.Http, request.Id, sent);
                call.Flushed?.Invoke(new StreamResponse { Task = sent.Task, Message = sent.Message });
                break;
            case A2AMethods.GetTask:
                await AnswerAsync(call.Http, request.Id, await agent.GetTaskAsync(Params<GetTaskRequest>(request), call, cancellationToken));
                break;
            case A2AMethods.CancelTask:
                await AnswerAsync(call.Http, request.Id, await agent.CancelTaskAsync(Params<CancelTaskRequest>(request), call, cancellationToken));
                break;
            case A2AMethods.ListTasks:
                await AnswerAsync(call.Http, request.Id, await agent.ListTasksAsync(Params<ListTasksRequest>(request), call, cancellationToken));
                break;
            case A2AMethods.CreateTaskPushNotificationConfig:
                await AnswerAsync(call.Http, request.Id, await agent.CreatePushNotificationConfigAsync(Params<TaskPushNotificationConfig>(request), call, cancellationToken));
                break;
            case A2AMethods.GetTaskPushNotificationConfig:
                await AnswerAsync(call.Http, request.Id, await agent.GetPushNotificationConfigAsync(Params<PushNotificationConfigRequest>(request), call, cancellationToken));
                break;
            case A2AMethods.ListTaskPushNotificationConfigs:
                await AnswerAsync(call.Http, request.Id, await agent.ListPushNotificationConfigsAsync(Params<ListPushNotificationConfigsRequest>(request), call, cancellationToken));
                break;
            case A2AMethods.DeleteTaskPushNotificationConfig:
                await agent.DeletePushNotificationConfigAsync(Params<PushNotificationConfigRequest>(request), call, cancellationToken);
                await AnswerAsync(call.Http, request.Id, new { });
                break;
            case A2AMethods.GetExtendedAgentCard:
                var wanted = request.Params.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? new GetExtendedAgentCardRequest() : Params<GetExtendedAgentCardRequest>(request);
                await AnswerAsync(call.Http, request.Id, await agent.GetExtendedAgentCardAsync(wanted, call, cancellationToken));
                break;
            default:
                throw new InvalidOperationException($"Method {request.Method} is listed as known but not dispatched.");
        }
    }

    private static T Params<T>(JsonRpcRequest request)
        where T : class => RequestRules.Checked(request.ReadParams<T>());

    private static A2AError? CheckMethodAndVersion(string method, string version)
    {
        // A name that no version knows is a wrong name, whatever version was asked for.
        if (!A2AMethods.Current.Contains(method) && !A2AMethods.IsLegacy(method))
        {
            return A2AError.MethodNotFound($"Method '{method}' is not known. Methods: {string.Join(", ", A2AMethods.Current)}.");
        }

        if (version != A2AHeaders.CurrentVersion)
        {
            return A2AError.VersionNotSupported(version, A2AHeaders.CurrentVersion);
        }

        return A2AMethods.IsLegacy(method)
            ? A2AError.MethodNotFound($"Method '{method}' belongs to A2A 0.3. Version 1.0 names its methods like SendMessage and GetTask.")
            : null;
    }

    private static List<string> Activated(HttpRequest request, A2AServerOptions options) =>
        [.. request.Headers[A2AHeaders.Extensions].SelectMany(line => (line ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            .Distinct(StringComparer.Ordinal).Where(options.SupportedExtensions.Contains)];

    private static A2AError? MissingExtension(List<string> activated, A2AServerOptions options) =>
        options.RequiredExtensions.FirstOrDefault(uri => !activated.Contains(uri)) is { } missing ? A2AError.ExtensionSupportRequired(missing) : null;

    private static bool IsJson(string? contentType)
    {
        var mediaType = (contentType ?? "").Split(';')[0].Trim();
        return mediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) || mediaType.Equals("application/a2a+json", StringComparison.OrdinalIgnoreCase);
    }

    private static async Task<(JsonDocument? Body, A2AError? Error)> ReadBodyAsync(HttpContext http, long limitBytes)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = limitBytes;
        }

        try
        {
            return (await JsonDocument.ParseAsync(http.Request.Body, default, http.RequestAborted), null);
        }
        catch (JsonException exception)
        {
            return (null, A2AError.Parse(exception.Message));
        }
        catch (BadHttpRequestException exception) when (exception.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            http.Response.StatusCode = StatusCodes.Status413PayloadTooLarge;
            return (null, A2AError.InvalidParams("", $"The request is larger than {limitBytes} bytes. Upload large parts first and refer to them.")
                .WithInfo("REQUEST_TOO_LARGE", "a2a-protocol.org", ("limitBytes", limitBytes.ToString(System.Globalization.CultureInfo.InvariantCulture))));
        }
    }

    private static async Task AnswerAsync<T>(HttpContext http, JsonElement id, T result)
    {
        http.Response.ContentType = "application/json";
        if (result is A2AError error)
        {
            JsonRpcResponseWriter.WriteError(http.Response.BodyWriter, id, error);
        }
        else
        {
            JsonRpcResponseWriter.WriteResult(http.Response.BodyWriter, id, result);
        }

        await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
    }

    [LoggerMessage(LogLevel.Error, "{Method} failed; trace {TraceId}")]
    private static partial void LogFailed(ILogger logger, Exception exception, string method, string traceId);
}
