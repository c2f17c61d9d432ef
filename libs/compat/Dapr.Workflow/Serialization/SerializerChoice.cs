using Dapr.Common.Serialization;

namespace Dapr.Workflow.Serialization;

/// <summary>The serializer of workflows, kept apart from the one that an app may have registered for other uses.</summary>
internal sealed record SerializerChoice(IDaprSerializer Serializer);
