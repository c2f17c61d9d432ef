using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using ActorApi = RenderTrust.Sidecar.Actors.ActorApi;
using ActorRuntime = RenderTrust.Sidecar.Actors.ActorRuntime;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.PubSub;
using RenderTrust.Sidecar.Secrets;
using RenderTrust.Sidecar.State;
using RenderTrust.Sidecar.Workflows;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>The rpcs of <c>dapr.proto.runtime.v1.Dapr</c> that we serve; their names are the binding.</summary>
internal sealed partial class DaprService(ActorRuntime actors, ActorApi actorApi, SidecarLifetime lifetime, DaprWorkflowApi workflows)
{
    public Task<GetStateResponse> GetState(GetStateRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var entry = await app.Components.StateStore(request.StoreName).GetAsync(request.Key, context.CancellationToken);
        var response = new GetStateResponse();
        if (entry is not null)
        {
            response.Data = UnsafeByteOperations.UnsafeWrap(entry.Value);
            response.Etag = entry.Etag;
            AddExpiry(response.Metadata, entry);
        }

        return response;
    });

    public Task<GetBulkStateResponse> GetBulkState(GetBulkStateRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var entries = await app.Components.StateStore(request.StoreName).GetAsync(request.Keys, context.CancellationToken);
        var response = new GetBulkStateResponse();
        for (var i = 0; i < entries.Count; i++)
        {
            var item = new BulkStateItem { Key = request.Keys[i] };
            if (entries[i] is { } entry)
            {
                item.Data = UnsafeByteOperations.UnsafeWrap(entry.Value);
                item.Etag = entry.Etag;
                AddExpiry(item.Metadata, entry);
            }

            response.Items.Add(item);
        }

        return response;
    });

    public Task<Empty> SaveState(SaveStateRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await app.Components.StateStore(request.StoreName).WriteAllAsync([.. request.States.Select(item => ToRequest(item, delete: false))], context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> DeleteState(DeleteStateRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await app.Components.StateStore(request.StoreName).WriteAsync(
            new StateRequest(request.Key, null, Etag(request.Etag), IsFirstWrite(request.Options), request.Metadata), context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> DeleteBulkState(DeleteBulkStateRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await app.Components.StateStore(request.StoreName).WriteAllAsync([.. request.States.Select(item => ToRequest(item, delete: true))], context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> ExecuteStateTransaction(ExecuteStateTransactionRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var operations = request.Operations.Select(operation => operation.OperationType switch
        {
            "upsert" or "delete" when operation.Request is null => throw DaprError.Malformed("an operation has no request"),
            "upsert" => ToRequest(operation.Request, delete: false),
            "delete" => ToRequest(operation.Request, delete: true),
            var other => throw StateComponent.NotAnOperation(other),
        });
        await app.Components.StateStore(request.StoreName).TransactAsync([.. operations], context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> PublishEvent(PublishEventRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await Publisher.PublishAsync(app, app.Components.PubSub(request.PubsubName), request.Topic, request.DataContentType, request.Data.Memory,
            IgnoringCase(request.Metadata), context.RequestHeaders.GetValue("traceparent"), context.RequestHeaders.GetValue("tracestate"), context.CancellationToken);
        return new Empty();
    });

    public Task<BulkPublishResponse> BulkPublishEvent(BulkPublishRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var entries = request.Entries.Select(entry => new BulkEntry(entry.EntryId, entry.Event.Memory, entry.ContentType, entry.Metadata)).ToList();
        var failed = await Publisher.PublishManyAsync(app, app.Components.PubSub(request.PubsubName), request.Topic, entries, IgnoringCase(request.Metadata),
            context.RequestHeaders.GetValue("traceparent"), context.RequestHeaders.GetValue("tracestate"), context.CancellationToken);
        var response = new BulkPublishResponse();
        response.FailedEntries.AddRange(failed.Select(entry => new BulkPublishResponseFailedEntry { EntryId = entry.EntryId, Error = entry.Error.Message }));
        return response;
    });

    public Task<BulkPublishResponse> BulkPublishEventAlpha1(BulkPublishRequest request, ServerCallContext context) => BulkPublishEvent(request, context);

    public Task<GetSecretResponse> GetSecret(GetSecretRequest request, ServerCallContext context) => GuardAsync(context, app =>
    {
        var response = new GetSecretResponse();
        foreach (var (key, value) in SecretsHttp.Get(app.Components.SecretStore(request.StoreName), request.StoreName, request.Key))
        {
            response.Data[key] = value;
        }

        return Task.FromResult(response);
    });

    public Task<GetBulkSecretResponse> GetBulkSecret(GetBulkSecretRequest request, ServerCallContext context) => GuardAsync(context, app =>
    {
        var response = new GetBulkSecretResponse();
        foreach (var (name, values) in app.Components.SecretStore(request.StoreName).GetAll())
        {
            var secrets = new SecretResponse();
            foreach (var (key, value) in values)
            {
                secrets.Secrets[key] = value;
            }

            response.Data[name] = secrets;
        }

        return Task.FromResult(response);
    });

    public Task<GetMetadataResponse> GetMetadata(GetMetadataRequest request, ServerCallContext context) => GuardAsync(context, app =>
    {
        var active = actors.ActiveActors(app).Select(entry => new ActiveActorsCount { Type = entry.Type, Count = entry.Count }).ToList();
        var response = new GetMetadataResponse
        {
            Id = app.Id,
            RuntimeVersion = MetadataHttp.RuntimeVersion,
            AppConnectionProperties = new AppConnectionProperties
            {
                Port = app.Definition.AppPort, Protocol = app.Definition.Protocol, ChannelAddress = app.Definition.ChannelAddress,
            },
            ActorRuntime = new Dapr.Client.Autogen.Grpc.v1.ActorRuntime { HostReady = app.ActorConfiguration.Types.Count > 0, Placement = "placement: embedded" },
        };
        response.EnabledFeatures.AddRange(app.Configuration.Features);
        response.ActorRuntime.ActiveActors.AddRange(active);
        foreach (var (key, value) in app.ExtendedMetadata)
        {
            response.ExtendedMetadata[key] = value;
        }

        response.ExtendedMetadata["daprRuntimeVersion"] = MetadataHttp.RuntimeVersion;
        foreach (var component in app.Components.Definitions)
        {
            var registered = new RegisteredComponents { Name = component.Name, Type = component.Type, Version = component.Version };
            registered.Capabilities.AddRange(MetadataHttp.Capabilities(component.Type, app.Components.ActorStore?.Name == component.Name));
            response.RegisteredComponents.Add(registered);
        }

        foreach (var subscription in app.Subscriptions)
        {
            response.Subscriptions.Add(new PubsubSubscription
            {
                PubsubName = subscription.PubSub, Topic = subscription.Topic, DeadLetterTopic = subscription.DeadLetterTopic ?? "",
            });
        }

        return Task.FromResult(response);
    });

    public Task<Empty> SetMetadata(SetMetadataRequest request, ServerCallContext context) => GuardAsync(context, app =>
    {
        app.ExtendedMetadata[request.Key] = request.Value;
        return Task.FromResult(new Empty());
    });

    public Task<Empty> Shutdown(ShutdownRequest request, ServerCallContext context) => GuardAsync(context, _ =>
    {
        lifetime.Stop("gRPC Shutdown");
        return Task.FromResult(new Empty());
    });

    private static async Task<T> GuardAsync<T>(ServerCallContext context, Func<HostedApp, Task<T>> handle)
    {
        try
        {
            return await handle(context.GetHttpContext().App());
        }
        catch (DaprError e)
        {
            throw Refusal.Of(e.GrpcStatus, $"{e.Code}: {e.Message}");
        }
    }

    private static void AddExpiry(Google.Protobuf.Collections.MapField<string, string> metadata, StateEntry entry)
    {
        if (entry.ExpiresAt is { } expires)
        {
            metadata["ttlExpireTime"] = StateHttp.Rfc3339(expires);
        }
    }

    private static Dictionary<string, string> IgnoringCase(IDictionary<string, string> metadata) => new(metadata, StringComparer.OrdinalIgnoreCase);
}
