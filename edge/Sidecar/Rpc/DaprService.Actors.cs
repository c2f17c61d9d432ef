using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.Sidecar.Actors;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.State;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>The gRPC forms of the actor API. What they carry as bytes is base64 text where the app and HTTP see JSON.</summary>
internal sealed partial class DaprService
{
    public Task<InvokeActorResponse> InvokeActor(InvokeActorRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var body = await actorApi.InvokeAsync(
            app, new ActorKey(request.ActorType, request.ActorId), request.Method, request.Data.Memory, IgnoringCase(request.Metadata),
            context.RequestHeaders.GetValue("traceparent"), context.RequestHeaders.GetValue("tracestate"), context.CancellationToken);
        return new InvokeActorResponse { Data = UnsafeByteOperations.UnsafeWrap(body) };
    });

    public Task<GetActorStateResponse> GetActorState(GetActorStateRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var response = new GetActorStateResponse();
        if (await actorApi.GetStateAsync(app, new ActorKey(request.ActorType, request.ActorId), request.Key, context.CancellationToken) is { } entry)
        {
            response.Data = UnsafeByteOperations.UnsafeWrap(entry.Value);
            AddExpiry(response.Metadata, entry);
        }

        return response;
    });

    public Task<Empty> ExecuteActorStateTransaction(ExecuteActorStateTransactionRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var operations = request.Operations.Select(operation => operation.OperationType switch
        {
            "upsert" => new StateRequest(operation.Key, operation.Value?.Value.Memory ?? default, null, false, operation.Metadata.AsReadOnly()),
            "delete" => new StateRequest(operation.Key, null, null, false, operation.Metadata.AsReadOnly()),
            var other => throw StateComponent.NotAnOperation(other),
        });
        await actorApi.TransactAsync(app, new ActorKey(request.ActorType, request.ActorId), [.. operations], context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> RegisterActorTimer(RegisterActorTimerRequest request, ServerCallContext context) => GuardAsync(context, app =>
    {
        actorApi.RegisterTimer(app, new ActorCallback(
            new ActorKey(request.ActorType, request.ActorId), request.Name, request.DueTime, request.Period, request.Callback, ToJson(request.Data), request.Ttl));
        return Task.FromResult(new Empty());
    });

    public Task<Empty> UnregisterActorTimer(UnregisterActorTimerRequest request, ServerCallContext context) => GuardAsync(context, _ =>
    {
        actorApi.UnregisterTimer(new ActorKey(request.ActorType, request.ActorId), request.Name);
        return Task.FromResult(new Empty());
    });

    public Task<Empty> RegisterActorReminder(RegisterActorReminderRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        if (request.Name.Length == 0)
        {
            throw new DaprError(400, StatusCode.InvalidArgument, "ERR_BAD_REQUEST", "reminder name cannot be empty");
        }

        var reminder = new ActorCallback(
            new ActorKey(request.ActorType, request.ActorId), request.Name, request.DueTime, request.Period, null, ToJson(request.Data),
            request.Ttl.Length == 0 ? null : request.Ttl)
        {
            OnFailure = FailurePolicy.Of(request.FailurePolicy),
        };
        await actorApi.RegisterReminderAsync(app, reminder, !request.HasOverwrite || request.Overwrite, context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> UnregisterActorReminder(UnregisterActorReminderRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await actorApi.DeleteRemindersAsync(app, request.ActorType, request.ActorId, request.Name, context.CancellationToken);
        return new Empty();
    });

    public Task<UnregisterActorRemindersByTypeResponse> UnregisterActorRemindersByType(UnregisterActorRemindersByTypeRequest request, ServerCallContext context) =>
        GuardAsync(context, async app =>
        {
            await actorApi.DeleteRemindersAsync(app, request.ActorType, request.HasActorId ? request.ActorId : null, null, context.CancellationToken);
            return new UnregisterActorRemindersByTypeResponse();
        });

    public Task<GetActorReminderResponse> GetActorReminder(GetActorReminderRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var (reminder, expiresAt) = await actorApi.GetReminderAsync(app, new ActorKey(request.ActorType, request.ActorId), request.Name, context.CancellationToken);
        var response = new GetActorReminderResponse { ActorType = reminder.Actor.Type, ActorId = reminder.Actor.Id, Data = ToAny(reminder.Data) };
        if (reminder.DueTime.Length > 0)
        {
            response.DueTime = reminder.DueTime;
        }

        if (reminder.Period.Length > 0)
        {
            response.Period = reminder.Period;
        }

        if (expiresAt is { } moment)
        {
            response.Ttl = StateHttp.Rfc3339(moment);
        }

        return response;
    });

    public Task<ListActorRemindersResponse> ListActorReminders(ListActorRemindersRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        var response = new ListActorRemindersResponse();
        foreach (var (reminder, expiresAt) in await actorApi.ListRemindersAsync(app, request.ActorType, request.HasActorId ? request.ActorId : null, context.CancellationToken))
        {
            var item = new ActorReminder { ActorType = reminder.Actor.Type, ActorId = reminder.Actor.Id, Data = ToAny(reminder.Data) };
            if (reminder.DueTime.Length > 0)
            {
                item.DueTime = reminder.DueTime;
            }

            if (reminder.Period.Length > 0)
            {
                item.Period = reminder.Period;
            }

            if (expiresAt is { } moment)
            {
                item.Ttl = StateHttp.Rfc3339(moment);
            }

            response.Reminders.Add(new NamedActorReminder { Name = reminder.Name, Reminder = item });
        }

        return response;
    });

    private static byte[]? ToJson(ByteString data) => data.IsEmpty ? null : JsonSerializer.SerializeToUtf8Bytes(data.ToBase64());

    private static Any? ToAny(byte[]? json) => json is null ? null : Any.Pack(new BytesValue { Value = UnsafeByteOperations.UnsafeWrap(json) });
}
