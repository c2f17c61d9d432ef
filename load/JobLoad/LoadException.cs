namespace RenderTrust.JobLoad;

/// <summary>The load cannot run; the message says what to do.</summary>
internal sealed class LoadException(string message) : Exception(message);
