using Dapr.Common.Serialization;

namespace Dapr.Workflow.Serialization;

/// <summary>How inputs, outputs, events and custom statuses become text; the older name of <see cref="IDaprSerializer"/>.</summary>
public interface IWorkflowSerializer : IDaprSerializer;
