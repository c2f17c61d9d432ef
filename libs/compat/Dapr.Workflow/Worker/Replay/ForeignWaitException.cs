namespace Dapr.Workflow.Worker.Replay;

/// <summary>Workflow code waits for, or goes on after, something that is not the context's: no history could ever replay it.</summary>
internal sealed class ForeignWaitException(string what) : InvalidOperationException(
    $"{what} Workflow code may await only the tasks of its context, and tasks made from those (WhenAll, WhenAny): no Task.Delay, Task.Run, Task.Yield, " +
    "CancelAsync (use Cancel), HttpClient or locks. Use CreateTimer for time, and put every other wait into an activity.");
