using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using RenderTrust.Sidecar.Workflows;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>The workflow rpcs; the alpha names are the older ones of the same.</summary>
internal sealed partial class DaprService
{
    public Task<StartWorkflowResponse> StartWorkflowBeta1(StartWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
        new StartWorkflowResponse
        {
            InstanceId = await workflows.StartAsync(app, request.WorkflowName, request.InstanceId, request.Input.ToStringUtf8(), request.Options,
                context.RequestHeaders.GetValue("traceparent"), context.CancellationToken),
        });

    public Task<GetWorkflowResponse> GetWorkflowBeta1(GetWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        // An unknown instance is an answer with nothing but its id, as daprd gives it.
        var response = new GetWorkflowResponse { InstanceId = request.InstanceId };
        if (await workflows.GetAsync(app, request.InstanceId, context.CancellationToken) is { } record)
        {
            response.WorkflowName = record.Started.Name;
            response.CreatedAt = Timestamp.FromDateTimeOffset(record.CreatedAt);
            response.LastUpdatedAt = Timestamp.FromDateTimeOffset(record.UpdatedAt);
            response.RuntimeStatus = DaprWorkflowApi.StatusName(record.Status);
            foreach (var (name, value) in DaprWorkflowApi.Properties(record))
            {
                response.Properties[name] = value;
            }
        }

        return response;
    });

    public Task<Empty> RaiseEventWorkflowBeta1(RaiseEventWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await workflows.RaiseAsync(app, request.InstanceId, request.EventName, request.EventData.ToStringUtf8(), context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> TerminateWorkflowBeta1(TerminateWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await workflows.TerminateAsync(app, request.InstanceId, context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> PauseWorkflowBeta1(PauseWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await workflows.PauseAsync(app, request.InstanceId, context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> ResumeWorkflowBeta1(ResumeWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await workflows.ResumeAsync(app, request.InstanceId, context.CancellationToken);
        return new Empty();
    });

    public Task<Empty> PurgeWorkflowBeta1(PurgeWorkflowRequest request, ServerCallContext context) => GuardAsync(context, async app =>
    {
        await workflows.PurgeAsync(app, request.InstanceId, context.CancellationToken);
        return new Empty();
    });

    public Task<StartWorkflowResponse> StartWorkflowAlpha1(StartWorkflowRequest request, ServerCallContext context) => StartWorkflowBeta1(request, context);

    public Task<GetWorkflowResponse> GetWorkflowAlpha1(GetWorkflowRequest request, ServerCallContext context) => GetWorkflowBeta1(request, context);

    public Task<Empty> RaiseEventWorkflowAlpha1(RaiseEventWorkflowRequest request, ServerCallContext context) => RaiseEventWorkflowBeta1(request, context);

    public Task<Empty> TerminateWorkflowAlpha1(TerminateWorkflowRequest request, ServerCallContext context) => TerminateWorkflowBeta1(request, context);

    public Task<Empty> PauseWorkflowAlpha1(PauseWorkflowRequest request, ServerCallContext context) => PauseWorkflowBeta1(request, context);

    public Task<Empty> ResumeWorkflowAlpha1(ResumeWorkflowRequest request, ServerCallContext context) => ResumeWorkflowBeta1(request, context);

    public Task<Empty> PurgeWorkflowAlpha1(PurgeWorkflowRequest request, ServerCallContext context) => PurgeWorkflowBeta1(request, context);
}
