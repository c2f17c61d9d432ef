using Dapr.Common;

namespace Dapr.Workflow.Registration;

/// <summary>What AddDaprWorkflowBuilder goes on with.</summary>
public interface IDaprWorkflowBuilder : IDaprServiceBuilder;
